import { exifOrientation, type Orientation, startsWith } from "./orientation.js";

/** The properties of a JPEG or WebP file that can be read before its pixels are unpacked. */
export interface FileHeader {
  format: "JPEG" | "WebP";
  width: number;
  height: number;
  orientation: Orientation;
  /** Offset of the four letters that mark its EXIF data, if it has any. */
  exifAt?: number;
  isAnimated: boolean;
}

/** Undefined for files of other kinds, and for files that are cut off before their size. */
export function fileHeader(bytes: Uint8Array): FileHeader | undefined {
  if (startsWith(bytes, "\xff\xd8\xff")) return jpegHeader(bytes);
  if (startsWith(bytes, "RIFF") && startsWith(bytes.subarray(8), "WEBP")) return webpHeader(bytes);
  return undefined;
}

/** Reads the segments (ITU-T T.81, annex B) up to the pixels: the frame holds the size, APP1 may hold EXIF data. */
function jpegHeader(bytes: Uint8Array): FileHeader | undefined {
  const view = viewOf(bytes);
  const header: FileHeader = { format: "JPEG", width: 0, height: 0, orientation: 1, isAnimated: false };
  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = bytes[at + 1]!;
    if (bytes[at] !== 0xff) return undefined;
    if (marker === 0xff) {
      at++; // Fill bytes: any number of them may precede a marker.
      continue;
    }
    const length = view.getUint16(at + 2);
    const data = bytes.subarray(at + 4, at + 2 + length);
    if (marker === 0xe1 && startsWith(data, "Exif\0\0")) {
      header.orientation = exifOrientation(data);
      header.exifAt = at + 4;
    }
    if (isFrame(marker) && data.length >= 5) {
      header.height = view.getUint16(at + 5);
      header.width = view.getUint16(at + 7);
      return header;
    }
    at += 2 + length;
  }
  return undefined;
}

/** SOF0 to SOF15, without the three other markers in that range. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** Reads the chunks (RFC 9649): the largest size in any of them, and EXIF data, which may follow the pixels. */
function webpHeader(bytes: Uint8Array): FileHeader | undefined {
  const header: FileHeader = { format: "WebP", width: 0, height: 0, orientation: 1, isAnimated: false };
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = viewOf(bytes).getUint32(at + 4, true);
    const data = bytes.subarray(at + 8, at + 8 + length);
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    if (type === "EXIF") {
      header.orientation = exifOrientation(data);
      header.exifAt = at;
    }
    if (type === "ANIM") header.isAnimated = true;
    const [width, height] = webpSize(type, data);
    header.width = Math.max(header.width, width);
    header.height = Math.max(header.height, height);
    at += 8 + length + (length % 2);
  }
  return header.width === 0 ? undefined : header;
}

/** Width and height in an extended header or a lossy or lossless frame; zeros for other chunks. */
function webpSize(type: string, data: Uint8Array): [number, number] {
  const view = viewOf(data);
  if (type === "VP8X" && data.length >= 10) {
    return [1 + (view.getUint32(3, true) >>> 8), 1 + (view.getUint32(6, true) >>> 8)];
  }
  if (type === "VP8 " && data.length >= 10) return [view.getUint16(6, true) & 0x3fff, view.getUint16(8, true) & 0x3fff];
  if (type === "VP8L" && data.length >= 5) {
    const bits = view.getUint32(1, true);
    return [1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff)];
  }
  return [0, 0];
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
