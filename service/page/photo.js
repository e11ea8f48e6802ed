/** Photos: opened, scaled down before they are sent, laid under their mask. */

const PIXELS = 4e6;
const QUALITY = 0.92;

/**
 * The upright picture in a file; null where the browser cannot show its format.
 *
 * @returns {Promise<?HTMLImageElement>}
 */
export async function open(blob) {
  const image = new Image();
  const url = URL.createObjectURL(blob);
  image.src = url;
  try {
    await image.decode();
    return image;
  } catch {
    URL.revokeObjectURL(url);
    return null;
  }
}

/** Let go of what `open` holds in memory. */
export function close(image) {
  if (image) URL.revokeObjectURL(image.src);
}

/** Whether a picture is scaled down before it is sent, where the user allows it. */
export function isLarge(image, bytes, maxBytes) {
  return image.naturalWidth * image.naturalHeight > PIXELS || bytes > maxBytes;
}

/** The picture as a JPEG of at most `PIXELS` pixels and that many bytes, never larger than it was. */
export async function shrink(image, maxBytes) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = document.createElement("canvas");
  let factor = Math.min(1, Math.sqrt(PIXELS / (width * height)));
  let blob;
  // How many bytes a pixel takes differs between browsers, and is known afterwards.
  do {
    draw(image, canvas, Math.floor(width * factor), Math.floor(height * factor));
    blob = await encode(canvas, "image/jpeg");
    factor *= 0.8;
  } while (blob.size > maxBytes && canvas.width * canvas.height > 1);
  return blob;
}

/** Draw a picture onto a canvas of that size, on white as the service does. */
export function draw(image, canvas, width, height) {
  canvas.width = Math.max(1, width);
  canvas.height = Math.max(1, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return context;
}

/** Photo and painted mask as one file of the photo's size. */
export async function compose(image, painted, alpha, type) {
  const canvas = document.createElement("canvas");
  const context = draw(image, canvas, image.naturalWidth, image.naturalHeight);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = alpha;
  context.drawImage(painted, 0, 0, canvas.width, canvas.height);
  return encode(canvas, type);
}

/** @returns {Promise<Blob>} */
export function encode(canvas, type) {
  return new Promise((resolve, reject) => {
    const done = (blob) => (blob ? resolve(blob) : reject(new Error("too large for the browser")));
    canvas.toBlob(done, type, QUALITY);
  });
}
