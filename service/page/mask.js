/** A mask: which class each pixel has, how much of the picture each class is, its colours. */

export class Mask {
  /**
   * @param {{width: number, height: number, ids: Uint8Array}} decoded
   * @param {{labels: string[], palette: number[][]}} model
   */
  constructor({ width, height, ids }, model) {
    Object.assign(this, { width, height, ids, model });
    const pixels = new Uint32Array(256);
    for (const id of ids) pixels[id]++;
    /** Classes that occur, the largest first. */
    this.classes = [...pixels.keys()]
      .filter((id) => pixels[id])
      .sort((a, b) => pixels[b] - pixels[a])
      .map((id) => ({ ...this.describe(id), share: pixels[id] / ids.length }));
  }

  /** Id, name and CSS colour of a class. */
  describe(id) {
    const [red, green, blue] = this.model.palette[id];
    return { id, name: this.model.labels[id], colour: `rgb(${red} ${green} ${blue})` };
  }

  /** Class id at a place given as fractions of width and height. */
  at(x, y) {
    const column = Math.min(this.width - 1, Math.floor(x * this.width));
    const row = Math.min(this.height - 1, Math.floor(y * this.height));
    return this.ids[row * this.width + column];
  }

  /** Draw the classes that are not hidden, opaque, onto a canvas that gets the mask's size. */
  paint(canvas, hidden) {
    if (canvas.width !== this.width || canvas.height !== this.height) {
      canvas.width = this.width;
      canvas.height = this.height;
    }
    const image = new ImageData(this.width, this.height);
    const table = this.#colours(hidden);
    const out = new Uint32Array(image.data.buffer);
    for (let index = 0; index < out.length; index++) out[index] = table[this.ids[index]];
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** The four bytes of each id's pixel, as one number. */
  #colours(hidden) {
    const bytes = new Uint8ClampedArray(4 * 256);
    for (const [id, colour] of this.model.palette.entries()) {
      if (!hidden.has(id)) bytes.set([...colour, 255], 4 * id);
    }
    return new Uint32Array(bytes.buffer);
  }
}
