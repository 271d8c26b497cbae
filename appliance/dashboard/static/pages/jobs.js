import { html } from "../html.js";
import { Head } from "../ui.js";
export const Jobs = () => html`<${Head} title="Jobs" />`;
