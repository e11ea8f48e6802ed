/** The picture on the page: photo below, mask above, wipe, and the class under the pointer. */

import { Zoom } from "./zoom.js";

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
  #zoom = new Zoom(this.#element);
  /** Where the pointer was last. */
  #pointer = null;
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
    this.#zoom.anchor = () => (this.#cross.hidden ? [0.5, 0.5] : this.#zoom.toView(this.#place));
    this.#zoom.onChange = () => this.#follow();
  }

  /** The canvas that the chosen classes are painted on. */
  get painted() {
    return this.#canvas;
  }

  show(image, mask, hidden) {
    image.id = "photo";
    image.alt = "";
    find("photo").replaceWith(image);
    this.#mask = mask;
    this.#place = [0.5, 0.5];
    this.#element.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
    this.#leave();
    this.repaint(hidden);
    this.#zoom.begin(image.naturalWidth);
  }

  repaint(hidden) {
    this.#mask.paint(this.#canvas, hidden);
  }

  /** Show all of the picture. */
  fit() {
    this.#zoom.fit();
  }

  /** @param {number} alpha 0 is the photo, 1 the mask */
  setAlpha(alpha) {
    this.#canvas.style.opacity = alpha;
  }

  /** @param {number} percent how far from the left of the view the bare photo reaches */
  setWipe(percent) {
    this.#element.style.setProperty("--wipe", percent / 100);
    this.#divider.hidden = percent === 0;
  }

  /** Another part of the picture is seen. */
  #follow() {
    // Hard edges where a pixel of the mask is larger than one of the screen.
    const shown = this.#zoom.scale * this.#element.clientWidth * devicePixelRatio;
    this.#canvas.classList.toggle("sharp", this.#canvas.width < shown);
    if (this.#tip.hidden) return;
    if (this.#cross.hidden) this.#point(this.#pointer);
    else this.#tell(...this.#place);
  }

  #drag(event) {
    if (!this.#divider.hasPointerCapture(event.pointerId)) return;
    const [x] = this.#zoom.locate(event);
    // At 0 the wipe is off, and there would be nothing left to drag.
    this.onWipe(Math.min(100, Math.max(1, Math.round(x * 100))));
  }

  #point(event) {
    const place = this.#zoom.locate(event);
    if (!this.#mask || place.some((value) => value < 0 || value >= 1)) return;
    this.#pointer = event;
    this.#cross.hidden = true;
    this.#tell(...this.#zoom.toPicture(place));
  }

  #press(event) {
    if (event.key === "Escape") this.#leave();
    const step = ARROWS[event.key];
    if (!step || !this.#mask || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const sizes = [this.#mask.width, this.#mask.height];
    this.#place = this.#place.map((value, axis) => {
      const size = sizes[axis];
      const pixels = event.shiftKey ? 1 : Math.max(1, Math.round(size / STEPS / this.#zoom.scale));
      const pixel = Math.floor(value * size) + step[axis] * pixels;
      return (Math.min(size - 1, Math.max(0, pixel)) + 0.5) / size;
    });
    this.#cross.hidden = false;
    this.#zoom.reveal(this.#place);
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
    const [left, top] = this.#zoom.toView(this.#place);
    this.#put(left * this.#element.clientWidth, top * this.#element.clientHeight);
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
