// Before anything is drawn: the theme that was chosen on this device, if one was.
try {
  const chosen = localStorage.getItem("appliance.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch { /* storage is switched off: the device's own theme it is */ }
