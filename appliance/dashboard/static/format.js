// Numbers, sizes and times as people read them. Pure.

const THIN = "\u2009"; // between thousands

/** 1204331 → "1 204 331"; a fraction keeps one digit while it is small. */
export function count(value) {
  if (value == null || Number.isNaN(value)) return "–";
  const rounded = Number.isInteger(value) || Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 10) / 10;
  return String(rounded).replace(/\B(?=(\d{3})+(?!\d))/g, (found, _, at, whole) => (whole.includes(".") && at > whole.indexOf(".") ? "" : THIN));
}

/** "1 event", "2 events". */
export const amount = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

export function bytes(value) {
  if (value == null) return "–";
  let unit = 0;
  for (; value >= 1000 && unit < 4; unit++) value /= 1000;
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

/** Seconds as "12 d 3 h", "4 min", "38 s", "4 ms". */
export function duration(seconds) {
  if (seconds == null || Number.isNaN(seconds)) return "–";
  if (seconds < 0.0095) return `${(seconds * 1000).toFixed(seconds < 0.00095 ? 2 : 1)} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  const hours = Math.round(seconds / 3600);
  if (hours < 48) return `${hours} h`;
  const days = Math.floor(hours / 24);
  return days < 7 && hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

export const ago = (stamp, now = Date.now()) => {
  if (!stamp) return "never";
  const seconds = (now - Date.parse(stamp)) / 1000;
  if (seconds < -1) return `in ${duration(-seconds)}`;
  return seconds < 2 ? "now" : `${duration(seconds)} ago`;
};

const two = (value) => String(value).padStart(2, "0");

/** A stamp as the clock of this device says it, to the millisecond. */
export function clock(stamp) {
  const at = new Date(stamp);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** Date and time; today only the time. */
export function moment(stamp) {
  if (!stamp) return "–";
  const at = new Date(stamp);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (at.toDateString() === new Date().toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** The end of an id, by which people and the command line tell them apart. */
export const short = (id) => (id ? `…${id.slice(-8)}` : "–");

/** JSON whose long numbers keep all their digits, where the browser can hold them. */
export const exactly = (text) => JSON.parse(text, (_, value, found) =>
  typeof value === "number" && JSON.rawJSON && found && !Number.isSafeInteger(value) ? JSON.rawJSON(found.source) : value);

export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) + (/[.:!?]$/.test(text) ? "" : ".") : "");

/** A word for a shell. */
export const quoted = (text) => (/^[\w.@%+:,/][\w.@%+:,/-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
