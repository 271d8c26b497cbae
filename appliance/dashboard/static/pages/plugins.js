import { html } from "../html.js";
import { Head } from "../ui.js";
export const Plugins = () => html`<${Head} title="Plugins" />`;
