// The first drawing, and another when the reader takes another host.

function begin() {
  const hosts = figures.hosts.map((host) => html("option", {}, host));
  byId("host").append(...hosts);
  byId("host-choice").hidden = hosts.length < 2;
  const start = () => {
    const shown = ofHost();
    chosen.split = shown.find((split) => split.isOk && !split.placement.includes("C")) ?? shown.find((split) => split.isOk) ?? shown[0] ?? null;
    drawAll();
    select(chosen.split);
  };
  byId("host").addEventListener("change", (event) => {
    chosen.host = event.target.value;
    start();
  });
  start();
}

begin();
