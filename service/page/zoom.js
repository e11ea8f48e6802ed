/** Which part of the picture is seen, and how large: by wheel, fingers, keys and buttons. */

/** Pixels of the screen for a pixel of the picture, at most. */
const LARGEST = 8;
const STEP = 1.5;
const DOUBLE_CLICK = 3;
const MIDDLE = [0.5, 0.5];
const KEYS = { "+": STEP, "=": STEP, "-": 1 / STEP, 0: 0 };

const find = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Places are pairs of fractions: of the picture's width and height, or of those of the view. */
export class Zoom {
  #element;
  #pixels = 1;
  #corner = [0, 0];
  #pointers = new Map();
  /** How many times larger than where all of the picture is seen. */
  scale = 1;
  /** Called when another part is seen. */
  onChange = () => {};
  /** The place in the view that keys zoom about. */
  anchor = () => MIDDLE;

  /** @param {HTMLElement} element the view; its style gets --zoom, --left and --top */
  constructor(element) {
    this.#element = element;
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("dblclick", (event) => {
      this.#set(this.scale > 1 ? 1 : DOUBLE_CLICK, this.locate(event));
    });
    element.addEventListener("keydown", (event) => this.#press(event));
    this.#listenForPointers();
    const buttons = { "zoom-in": STEP, "zoom-out": 1 / STEP, "zoom-fit": 0 };
    for (const [id, factor] of Object.entries(buttons)) {
      find(id).addEventListener("click", () => this.#set(this.scale * factor, MIDDLE));
    }
    new ResizeObserver(() => this.#set(this.scale, MIDDLE)).observe(element);
  }

  /** @param {number} pixels width of the picture that is seen from now on */
  begin(pixels) {
    this.#pixels = pixels;
    this.#set(this.scale, MIDDLE);
  }

  /** See all of the picture. */
  fit() {
    this.#set(1, MIDDLE);
  }

  /** Where a pointer is in the view. */
  locate({ clientX, clientY }) {
    const { left, top, width, height } = this.#element.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  /** The place in the picture that is seen at one in the view. */
  toPicture(place) {
    return place.map((value, axis) => this.#corner[axis] + value / this.scale);
  }

  /** The place in the view where one in the picture is seen. */
  toView(place) {
    return place.map((value, axis) => (value - this.#corner[axis]) * this.scale);
  }

  /** Move the picture as little as brings a place in it into view. */
  reveal(place) {
    const seen = this.toView(place);
    this.#set(this.scale, seen, seen.map((value) => clamp(value, 0.05, 0.95)));
  }

  /** Zoom so that what is seen at one place in the view comes to lie at another. */
  #set(scale, from, to = from) {
    const place = this.toPicture(from);
    const { style, classList } = this.#element;
    const { width } = this.#element.getBoundingClientRect();
    const most = Math.max(1, (LARGEST * this.#pixels) / width);
    this.scale = clamp(scale, 1, most);
    this.#corner = place.map((value, axis) =>
      clamp(value - to[axis] / this.scale, 0, 1 - 1 / this.scale),
    );
    style.setProperty("--zoom", this.scale);
    style.setProperty("--left", this.#corner[0]);
    style.setProperty("--top", this.#corner[1]);
    const whole = this.scale === 1;
    classList.toggle("zoomed", !whole);
    // A disabled button would lose the focus.
    find("zoom-in").setAttribute("aria-disabled", this.scale === most);
    for (const id of ["zoom-out", "zoom-fit"]) find(id).setAttribute("aria-disabled", whole);
    const percent = Math.round((100 * this.scale * width) / this.#pixels);
    find("zoom").textContent = `Zoom ${percent} %${whole ? ", whole" : ""}`;
    this.onChange();
  }

  #wheel(event) {
    // Without a key the wheel scrolls the page. Two fingers on a touchpad come with ctrlKey.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#set(this.scale * 2 ** (clamp(-event.deltaY, -25, 25) / 50), this.locate(event));
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    event.preventDefault();
    this.#set(this.scale * KEYS[event.key], this.anchor());
  }

  #listenForPointers() {
    const [element, pointers] = [this.#element, this.#pointers];
    element.addEventListener("pointerdown", (event) => {
      // The divider has taken it, or it is another button of the mouse.
      if (event.defaultPrevented || event.button) return;
      element.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
    });
    element.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return;
      const before = this.#grip();
      pointers.set(event.pointerId, event);
      const after = this.#grip();
      this.#set((this.scale * after.spread) / before.spread, before.centre, after.centre);
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      element.addEventListener(kind, (event) => pointers.delete(event.pointerId));
    }
  }

  /** The middle between all fingers in the view, and how far apart two of them are. */
  #grip() {
    const events = [...this.#pointers.values()];
    const places = events.map((event) => this.locate(event));
    const centre = [0, 1].map((axis) => places.reduce((sum, at) => sum + at[axis] / places.length, 0));
    const [first, second] = events;
    const spread = second
      ? Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY)
      : 1;
    return { centre, spread: Math.max(1, spread) };
  }
}
