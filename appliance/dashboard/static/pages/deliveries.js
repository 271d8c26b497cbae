import { html } from "../html.js";
import { Head } from "../ui.js";
export const Deliveries = () => html`<${Head} title="Deliveries" />`;
