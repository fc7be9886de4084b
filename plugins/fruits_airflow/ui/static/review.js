// The review of contributed photos: asks for a photo, shows it, and sends what the reviewer decides.
"use strict";

const VERDICTS = {
  not_sure: "Not sure.",
  unknown: "Unknown fruit.",
};
const REFUSALS = {
  claim_lost: "Another reviewer was faster with the last photo. Your decision has changed nothing.",
  gone: "The last photo no longer exists: it was rejected, or its contributor has asked to erase it.",
};

const element = (id) => document.getElementById(id);
const skipped = [];
let shown = null; // contribution and token of the photo on the page
let isBusy = false;

async function post(action, body, options = {}) {
  return fetch(`review/${action}`, {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify(body),
    ...options,
  });
}

async function showNext(message) {
  hide();
  const response = await post("next", {skipped});
  if (!response.ok) {
    throw new Error(`the server answered ${response.status}`);
  }
  const next = await response.json();
  element("nothing").hidden = next.contribution !== null;
  const waiting = `${next.waiting} waiting.`;
  if (next.contribution === null) {
    element("message").textContent = [message, waiting].filter(Boolean).join(" ");
    element("again").focus();
    return;
  }
  shown = {contribution: next.contribution, token: next.token};
  const photo = await post("photo", shown);
  if (photo.status === 409) {
    return showNext(REFUSALS.gone);
  }
  if (!photo.ok) {
    throw new Error(`the server answered ${photo.status}`);
  }
  element("photo").src = URL.createObjectURL(await photo.blob());
  showGuess(next);
  showKnown(next.known);
  element("message").textContent = [message, waiting].filter(Boolean).join(" ");
  element("photo-and-guess").hidden = false;
  element("heading").focus();
}

function hide() {
  element("photo-and-guess").hidden = true;
  element("nothing").hidden = true;
  URL.revokeObjectURL(element("photo").src);
  element("photo").removeAttribute("src");
  shown = null;
}

function showGuess(next) {
  element("verdict").textContent = VERDICTS[next.verdict] ?? "";
  const items = next.varieties.map(({name, probability}) => {
    const item = document.createElement("li");
    item.textContent = `${name}: ${(100 * probability).toFixed(1)} %`;
    item.dataset.name = name;
    return item;
  });
  element("guess").replaceChildren(...items);
  element("label").value = next.varieties[0]?.name ?? "";
  element("is-new").checked = false;
  element("new").hidden = true;
  element("label-problem").textContent = "";
}

function showKnown(known) {
  const groups = known.map(({variety, photos}) => {
    const group = document.createElement("div");
    const heading = document.createElement("h3");
    heading.textContent = variety;
    const row = document.createElement("div");
    row.className = "known-photos";
    for (const [index, address] of photos.entries()) {
      const image = document.createElement("img");
      image.src = address;
      image.alt = `${variety}, known photo ${index + 1}`;
      row.append(image);
    }
    if (!photos.length) {
      row.textContent = "None left in the bucket.";
    }
    group.append(heading, row);
    return group;
  });
  element("known").replaceChildren(...groups);
}

async function decide(action, body, message) {
  const response = await post(action, {...shown, ...body});
  const answer = response.headers.get("content-type")?.startsWith("application/json") ? await response.json() : {};
  if (response.ok) {
    return showNext(message(answer));
  }
  if (response.status === 409) {
    return showNext(REFUSALS[answer.reason]);
  }
  if (answer.reason === "unknown_variety") {
    element("label-problem").textContent = "No published photo is of this variety. Correct the name, or confirm that it is new.";
    element("new").hidden = false;
    element("is-new").focus();
    return;
  }
  if (answer.reason === "invalid_variety") {
    element("label-problem").textContent = `This name cannot be used: ${answer.detail}.`;
    element("label").focus();
    return;
  }
  throw new Error(`the server answered ${response.status}`);
}

// One request at a time: a key that is pressed twice must not decide about the next photo.
async function once(action) {
  if (isBusy) {
    return;
  }
  isBusy = true;
  try {
    await action();
  } catch (error) {
    element("message").textContent = `That failed: ${error.message}. Try again.`;
    element("nothing").hidden = !element("photo-and-guess").hidden;
  } finally {
    isBusy = false;
  }
}

function accept() {
  const label = element("label").value.trim();
  if (!label) {
    element("label-problem").textContent = "Name the variety.";
    element("label").focus();
    return;
  }
  const body = {label, is_new: element("is-new").checked};
  once(() => decide("accept", body, ({drop}) => `Accepted as ${label}, for the drop ${drop}.`));
}

function reject() {
  once(() => decide("reject", {}, () => "Rejected and deleted."));
}

function skip() {
  skipped.push(shown.contribution);
  once(() => decide("skip", {}, () => "Skipped."));
}

function takeGuess(number) {
  const guess = element("guess").children[number - 1];
  if (guess) {
    element("label").value = guess.dataset.name;
  }
}

function onKey(event) {
  if (event.target === element("label")) {
    if (event.key === "Escape") {
      element("heading").focus();
    }
    return;
  }
  if (!shown || !element("shortcuts").checked || event.ctrlKey || event.altKey || event.metaKey || event.repeat) {
    return;
  }
  const action = {a: accept, r: reject, s: skip, v: () => element("label").focus()}[event.key.toLowerCase()];
  if (action) {
    event.preventDefault();
    action();
  } else if (/^[1-5]$/.test(event.key)) {
    takeGuess(Number(event.key));
  }
}

element("decision").addEventListener("submit", (event) => {
  event.preventDefault();
  accept();
});
element("label").addEventListener("input", () => {
  element("is-new").checked = false;
  element("new").hidden = true;
  element("label-problem").textContent = "";
});
element("reject").addEventListener("click", reject);
element("skip").addEventListener("click", skip);
element("again").addEventListener("click", () => once(() => showNext("")));
document.addEventListener("keydown", onKey);
// Whoever leaves gives the photo back, instead of keeping it for the minutes of a claim.
window.addEventListener("pagehide", () => {
  if (shown) {
    post("skip", shown, {keepalive: true});
    shown = null;
  }
});
window.addEventListener("pageshow", () => once(() => showNext("")));
