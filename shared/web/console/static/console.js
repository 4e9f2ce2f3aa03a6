// What a page does better with a script than without: times in the reader's zone, copying, a
// question before what is hard to take back, filters that apply at once. Every page works without.
"use strict";

(() => {
  const at = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

  function putTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]:not([data-put])")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.textContent = at.format(moment);
      time.title = exact.format(moment);
      time.dataset.put = "";
    }
  }

  function announce(words) {
    const place = document.getElementById("announce");
    if (place) place.textContent = words;
  }

  document.addEventListener("DOMContentLoaded", () => {
    putTimes(document);
    const zone = document.querySelector("[data-zone]");
    if (zone) zone.textContent = `Times are in your zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
    // So that a day in a filter is the reader's day.
    for (const input of document.querySelectorAll("[data-zone-minutes]")) input.value = String(-new Date().getTimezoneOffset());
    document.querySelector("[data-focus]")?.focus();
  });
  // A part that is asked for again and again says aloud only what has become another.
  let announced = "";
  document.addEventListener("htmx:afterSwap", (event) => {
    putTimes(event.target.parentElement || document);
    const words = document.querySelector("[data-announce]")?.dataset.announce || "";
    if (words && words !== announced) announce(words);
    announced = words;
  });

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      try {
        await navigator.clipboard.writeText(copy.dataset.copy);
        announce("Copied.");
        copy.textContent = "Copied";
        setTimeout(() => { copy.textContent = "Copy"; }, 2000);
      } catch {
        getSelection().selectAllChildren(copy.previousElementSibling);
      }
    }
    const all = event.target.closest("[data-tick-all]");
    if (all) {
      for (const box of all.form.querySelectorAll(`input[type=checkbox][name="${all.dataset.tickAll}"]`)) {
        box.checked = all.checked;
      }
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.ask || form.dataset.ask;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    // A second click must not send the form twice; the button says that it works.
    if (form.method === "post" && !form.hasAttribute("hx-post")) {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
      // Stopped in the browser, it can be sent once more.
      setTimeout(() => mayBeSentAgain(form), 15000);
      event.submitter?.setAttribute("aria-busy", "true");
    }
  }, true);
  function mayBeSentAgain(form) {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
  }
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach(mayBeSentAgain);
  });

  document.addEventListener("change", async (event) => {
    const into = event.target.dataset?.readInto && document.getElementById(event.target.dataset.readInto);
    if (into && event.target.files[0]) into.value = await event.target.files[0].text();
  });
  // What was chosen among the hits of a search stays when the next search replaces them.
  document.addEventListener("change", (event) => {
    const input = event.target;
    const chosen = input.closest(".found")?.closest(".finder")?.querySelector(".chosen");
    if (!chosen || !input.checked || !input.matches("[type=radio], [type=checkbox]")) return;
    if (input.type === "radio") chosen.querySelectorAll("label:not([data-stays])").forEach((label) => label.remove());
    chosen.append(input.closest("label"));
    input.focus();
  });
  // A field that searches while typing does not send its whole form by Enter.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && window.htmx && event.target.matches("input[type=search][hx-get]")) event.preventDefault();
  });
  // A draft lives in its page alone.
  window.addEventListener("beforeunload", (event) => {
    if (document.querySelector("form[data-unsaved]:not([data-sent])")) event.preventDefault();
  });

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-apply]");
    if (form && event.target.matches("select, input[type=checkbox], input[type=date]")) form.requestSubmit();
  });
})();
