import { html, render } from "./html.js"; render(html`<p>…</p>`, document.getElementById("app"));
