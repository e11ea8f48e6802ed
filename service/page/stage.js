/** The picture on the page: photo below, mask above, wipe, and the class under the pointer. */

import { draw } from "./photo.js";

const LONGEST = 2560;
const STEPS = 50;
const GAP = 16;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const find = (id) => document.getElementById(id);

export class Stage {
  #mask = null;
  #place = [0.5, 0.5];
  #element = find("stage");
  #canvas = find("mask");
  #tip = find("tip");
  #cross = find("cross");
  #divider = find("divider");
  /** Called with the percentage that the divider is dragged to. */
  onWipe = () => {};

  constructor() {
    const element = this.#element;
    for (const kind of ["pointermove", "pointerdown"]) {
      element.addEventListener(kind, (event) => this.#point(event));
    }
    // A finger that is lifted leaves too, and its name should stay to be read.
    element.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") this.#leave();
    });
    element.addEventListener("blur", () => this.#leave());
    element.addEventListener("keydown", (event) => this.#press(event));
    this.#divider.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.#divider.setPointerCapture(event.pointerId);
    });
    this.#divider.addEventListener("pointermove", (event) => this.#drag(event));
    new ResizeObserver(() => this.#sharpen()).observe(element);
  }

  /** The canvas that the chosen classes are painted on. */
  get painted() {
    return this.#canvas;
  }

  show(image, mask, hidden) {
    const { naturalWidth: width, naturalHeight: height } = image;
    const factor = Math.min(1, LONGEST / Math.max(width, height));
    draw(image, find("photo"), Math.round(width * factor), Math.round(height * factor));
    this.#mask = mask;
    this.#place = [0.5, 0.5];
    this.#element.style.setProperty("--ratio", width / height);
    this.#leave();
    this.repaint(hidden);
    this.#sharpen();
  }

  repaint(hidden) {
    this.#mask.paint(this.#canvas, hidden);
  }

  /** @param {number} alpha 0 is the photo, 1 the mask */
  setAlpha(alpha) {
    this.#canvas.style.opacity = alpha;
  }

  /** @param {number} percent how far from the left the bare photo reaches */
  setWipe(percent) {
    this.#canvas.style.clipPath = `inset(0 0 0 ${percent}%)`;
    this.#divider.style.left = `${percent}%`;
    this.#divider.hidden = percent === 0;
  }

  /** Hard edges where a pixel of the mask is larger than one of the screen. */
  #sharpen() {
    const shown = this.#element.clientWidth * devicePixelRatio;
    this.#canvas.classList.toggle("sharp", this.#canvas.width < shown);
  }

  #drag(event) {
    if (!this.#divider.hasPointerCapture(event.pointerId)) return;
    const [x] = this.#fractions(event);
    // At 0 the wipe is off, and there would be nothing left to drag.
    this.onWipe(Math.min(100, Math.max(1, Math.round(x * 100))));
  }

  /** Where a pointer is, as fractions of width and height. */
  #fractions(event) {
    const area = this.#element.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  }

  #point(event) {
    const [x, y] = this.#fractions(event);
    if (!this.#mask || x < 0 || y < 0 || x >= 1 || y >= 1) return;
    this.#cross.hidden = true;
    this.#tell(x, y);
  }

  #press(event) {
    if (event.key === "Escape") this.#leave();
    const step = ARROWS[event.key];
    if (!step || !this.#mask) return;
    event.preventDefault();
    const sizes = [this.#mask.width, this.#mask.height];
    this.#place = this.#place.map((value, axis) => {
      const size = sizes[axis];
      const pixels = event.shiftKey ? 1 : Math.max(1, Math.round(size / STEPS));
      const pixel = Math.floor(value * size) + step[axis] * pixels;
      return (Math.min(size - 1, Math.max(0, pixel)) + 0.5) / size;
    });
    this.#cross.hidden = false;
    // A screen reader is told here, where the pointer's wanderings would be too much.
    find("spoken").textContent = this.#tell(...this.#place);
  }

  /** Show the class at a place; its name is handed back. */
  #tell(x, y) {
    this.#place = [x, y];
    const { name, colour } = this.#mask.describe(this.#mask.at(x, y));
    const [swatch, text] = this.#tip.children;
    swatch.style.backgroundColor = colour;
    text.textContent = name;
    this.#cross.style.left = `${x * 100}%`;
    this.#cross.style.top = `${y * 100}%`;
    this.#tip.hidden = false;
    this.#put(x * this.#element.clientWidth, y * this.#element.clientHeight);
    return name;
  }

  /** Lay the tip beside a place, within the picture. */
  #put(x, y) {
    const { clientWidth, clientHeight } = this.#element;
    const { offsetWidth: width, offsetHeight: height } = this.#tip;
    const below = y + GAP + height < clientHeight;
    this.#tip.style.left = `${Math.max(0, Math.min(x + GAP, clientWidth - width))}px`;
    this.#tip.style.top = `${below ? y + GAP : y - GAP - height}px`;
  }

  #leave() {
    this.#tip.hidden = true;
    this.#cross.hidden = true;
  }
}
