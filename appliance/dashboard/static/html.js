// One place that knows which library draws.
import { Fragment, createContext, h, render } from "./vendor/preact-11.2.0.js";
import htm from "./vendor/htm-3.1.1.js";

export { useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks-11.2.0.js";
export { Fragment, createContext, render };
export const html = htm.bind(h);
