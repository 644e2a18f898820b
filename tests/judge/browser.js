// As much of a browser as the report's script needs: elements that keep what they are given.

class Element {
  constructor(tag) {
    Object.assign(this, { tag, children: [], attributes: {}, dataset: {}, style: {}, listeners: {}, own: "", value: "", checked: false });
    this.classList = { add() {}, remove() {}, toggle() {} };
  }
  append(...children) {
    this.children.push(...children.flat());
  }
  replaceChildren(...children) {
    this.children = children.flat();
  }
  setAttribute(name, value) {
    this.attributes[name] = String(value);
    if (name === "value") this.value = String(value);
    if (name === "checked") this.checked = true;
  }
  removeAttribute(name) {
    delete this.attributes[name];
  }
  addEventListener(name, listener) {
    (this.listeners[name] ??= []).push(listener);
  }
  getBoundingClientRect() {
    return { left: 0, top: 0, width: 800, height: 400 };
  }
  focus() {}
  get clientWidth() {
    return 800;
  }
  get valueAsNumber() {
    return this.value === "" ? NaN : Number(this.value);
  }
  get defaultValue() {
    return this.attributes.value ?? "";
  }
  get textContent() {
    return this.own + this.children.map((child) => (child instanceof Element ? child.textContent : String(child))).join("");
  }
  set textContent(text) {
    this.children = [];
    this.own = text;
  }
}

// The elements of a page by their ids, with the values that its markup gives them.
function elementsOf(page) {
  const elements = new Map();
  for (const [tag, name, id] of page.matchAll(/<(\w+)[^>]*?\bid="([^"]+)"[^>]*>/g)) {
    const element = new Element(name);
    const value = tag.match(/\bvalue="([^"]*)"/);
    if (value) element.setAttribute("value", value[1]);
    element.checked = / checked/.test(tag);
    elements.set(id, element);
  }
  return elements;
}

function browse(page, figures) {
  const elements = elementsOf(page);
  elements.get("figures").textContent = figures;
  elements.get("network").value = "wan";
  globalThis.document = {
    getElementById: (id) => elements.get(id) ?? null,
    createElement: (name) => new Element(name),
    createElementNS: (_, name) => new Element(name),
    querySelector: () => null,
    querySelectorAll: () => [],
    documentElement: new Element("html"),
  };
  globalThis.addEventListener = () => {};
  globalThis.innerWidth = 1200;
  globalThis.setTimeout = (run) => run();
  globalThis.clearTimeout = () => {};
  globalThis.CSS = { escape: (text) => text };
  globalThis.set = (id, value) => {
    elements.get(id).value = value;
    elements.get("conditions").listeners.input.forEach((listener) => listener({ target: { id } }));
  };
  globalThis.tick_box = (id, checked) => {
    elements.get(id).checked = checked;
  };
  globalThis.said = (id) => elements.get(id).textContent.replaceAll("\u00a0", " ");
}
