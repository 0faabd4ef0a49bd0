// Light or dark before the first paint: what was chosen here, else what the system prefers.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("stretto-theme"); } catch { /* storage may be closed to us */ }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    document.documentElement.dataset.theme = chosen || (dark.matches ? "dark" : "light");
    const colour = document.querySelector('meta[name="theme-color"]');
    if (colour) colour.content = document.documentElement.dataset.theme === "dark" ? "#141517" : "#f6f4ef";
    dispatchEvent(new Event("theme"));
  };
  dark.addEventListener("change", apply);
  globalThis.switchTheme = () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("stretto-theme", chosen); } catch { /* then it lasts until the page is closed */ }
    apply();
  };
  apply();
})();
