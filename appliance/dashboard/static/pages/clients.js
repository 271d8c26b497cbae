import { html } from "../html.js";
import { Head } from "../ui.js";
export const Clients = () => html`<${Head} title="Clients" />`;
