import { html } from "../html.js";
import { Head } from "../ui.js";
export const System = () => html`<${Head} title="System" />`;
