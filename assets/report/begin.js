// The first drawing, and another when the reader takes another host.

function begin() {
  const hosts = figures.hosts.map((host) => html("option", {}, host));
  byId("host").append(...hosts);
  byId("host-choice").hidden = hosts.length < 2;
  const start = () => {
    chosen.split = ranking(usable(), yourNetwork(), yourConditions())[0]?.split ?? usable()[0] ?? ofHost()[0] ?? null;
    drawAll();
  };
  byId("host").addEventListener("change", (event) => {
    chosen.host = event.target.value;
    start();
  });
  start();
}

begin();
