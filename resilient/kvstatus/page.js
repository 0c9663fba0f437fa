// Keeps the page up to date. The service draws it; this puts what is new in the
// place of what is old, element by element, so that focus, selection and scroll
// position stay.
"use strict";
(() => {
  const state = document.getElementById("state");
  const icon = document.getElementById("icon");
  const say = document.getElementById("say");
  const gone = document.getElementById("gone");
  const silence = Number(state.dataset.silence); // ms without a word after which the service counts as gone
  let heard = performance.now();
  let heardAt = new Date();
  let said = state.dataset.say;
  let full = false;

  function patch(old, now) {
    if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) {
      old.replaceWith(now.cloneNode(true));
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
      return;
    }
    for (const { name, value } of now.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!now.hasAttribute(name)) old.removeAttribute(name);
    }
    patchChildren(old, now);
  }

  function patchChildren(old, now) {
    const olds = [...old.childNodes], news = [...now.childNodes];
    news.forEach((n, i) => {
      if (i < olds.length) patch(olds[i], n);
      else old.append(n.cloneNode(true));
    });
    olds.slice(news.length).forEach((o) => o.remove());
  }

  function show(message) {
    const next = document.createElement("template");
    next.innerHTML = message.html;
    patchChildren(state, next.content);
    if (document.title !== message.title) document.title = message.title;
    if (icon.getAttribute("href") !== message.icon) icon.setAttribute("href", message.icon);
    if (said !== message.say) say.textContent = said = message.say;
  }

  function here() {
    heard = performance.now();
    heardAt = new Date();
    full = false;
    if (!document.body.classList.contains("gone")) return;
    document.body.classList.remove("gone");
    gone.textContent = "";
    say.textContent = "The service answers again. " + said;
  }

  function away() {
    const at = heardAt.toISOString().slice(11, 19);
    const text = full
      ? `Too many live pages are open: this one shows ${at} UTC and tries again.`
      : `The service has not answered since ${at} UTC. What is shown is from then.`;
    if (gone.textContent !== text) gone.textContent = text;
    document.body.classList.add("gone");
  }

  function connect() {
    const source = new EventSource("events");
    source.addEventListener("state", (event) => {
      here();
      show(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) { // refused: the browser has given up
        full = performance.now() - heard < silence || full;
        setTimeout(connect, 5000);
      }
      away();
    });
  }

  connect();
  setInterval(() => { if (performance.now() - heard > silence) away(); }, 1000);
})();
