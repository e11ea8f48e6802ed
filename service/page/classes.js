/** The list of classes: colour, name, share, and whether it is shown. */

export class ClassList {
  #list = document.getElementById("classes");
  #changed;
  /** Ids that are not drawn. */
  hidden = new Set();

  /** @param {() => void} changed called when classes are shown or hidden */
  constructor(changed) {
    this.#changed = changed;
    document.getElementById("all").addEventListener("click", () => this.#set(true));
    document.getElementById("none").addEventListener("click", () => this.#set(false));
    this.#list.addEventListener("change", () => this.#read());
  }

  /** List the classes of a mask, all shown. */
  fill(mask) {
    this.hidden = new Set();
    this.#list.replaceChildren(...mask.classes.map(row));
  }

  #boxes() {
    return [...this.#list.querySelectorAll("input")];
  }

  #set(shown) {
    for (const box of this.#boxes()) box.checked = shown;
    this.#read();
  }

  #read() {
    const off = this.#boxes().filter((box) => !box.checked);
    this.hidden = new Set(off.map((box) => Number(box.value)));
    this.#changed();
  }
}

function row({ id, name, colour, share }) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
  box.value = id;
  const swatch = part("swatch");
  swatch.style.backgroundColor = colour;
  const bar = part("share");
  bar.style.width = `${share * 100}%`;
  const track = part("track");
  track.append(bar);
  const label = document.createElement("label");
  label.append(box, swatch, part("name", name), part("percent", percent(share)), track);
  const item = document.createElement("li");
  item.append(label);
  return item;
}

function part(kind, text = "") {
  return Object.assign(document.createElement("span"), { className: kind, textContent: text });
}

/** A share for people: never 0 % for what is there. */
export function percent(share) {
  if (share < 0.001) return "< 0.1 %";
  return `${(share * 100).toFixed(1)} %`;
}
