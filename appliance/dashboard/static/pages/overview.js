import { html } from "../html.js";
import { Head } from "../ui.js";
export const Overview = () => html`<${Head} title="Overview" />`;
