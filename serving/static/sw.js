// Keeps the page itself for when there is no network. Photos and answers are never kept.
const CACHE = "fruits-2";
const SHELL = ["./", "style.css", "app.js", "contribute.js", "texts.js", "manifest.webmanifest", "icon.svg", "icon-192.png"];

addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

addEventListener("activate", (event) => {
  const outdated = caches.keys().then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))));
  event.waitUntil(outdated.then(() => self.clients.claim()));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const isShell = SHELL.some((name) => new URL(name, self.registration.scope).href === request.url);
  if (request.method !== "GET" || !isShell) return;
  // The network first, so that a new version of the page is seen at once.
  event.respondWith(
    fetch(request)
      .then(async (response) => {
        if (response.ok) await (await caches.open(CACHE)).put(request, response.clone());
        return response;
      })
      .catch(async () => (await caches.match(request)) ?? Response.error()),
  );
});
