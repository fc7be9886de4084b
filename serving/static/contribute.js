// Lets the user contribute a photo that the service was not sure about, and delete it again.
import { CONSENT_VERSION, problemText, texts } from "./texts.js";

const DOUBT = new Set(["not_sure", "unknown"]);
const element = (id) => document.getElementById(id);
let photo = null; // the one that was answered, scaled down
let language = "en";
let keepsPhotos = false;

export function setLanguage(name) {
  language = name;
}

// Asks for consent where the answer is in doubt; the box is never ticked by itself.
export function offer(verdict, answered) {
  photo = answered;
  element("consent").checked = false;
  element("contribute").hidden = !(keepsPhotos && DOUBT.has(verdict));
  element("receipt").hidden = true;
  element("erase-now").hidden = false;
  element("contribution-state").textContent = "";
}

// The code of this browser; null before its first contribution.
function knownCode() {
  try {
    const code = localStorage.getItem("contributor");
    return /^[0-9a-f]{32}$/.test(code ?? "") ? code : null;
  } catch {
    return null; // storage may be forbidden; each photo then has a contributor of its own
  }
}

// A random code of this browser, made with the first contribution: photos of one contributor can be deleted together.
function contributorCode() {
  const known = knownCode();
  if (known) return known;
  const code = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    localStorage.setItem("contributor", code);
  } catch {
    // As above.
  }
  return code;
}

async function contribute(event) {
  event.preventDefault();
  const state = element("contribution-state");
  if (!element("consent").checked) {
    state.textContent = texts[language].agreeFirst;
    element("consent").focus();
    return;
  }
  const sent = photo;
  const body = new FormData();
  body.append("photo", sent, "photo.jpg");
  body.append("contributor", contributorCode());
  body.append("consent", CONSENT_VERSION);
  body.append("language", language);
  element("send").disabled = true; // a second click would keep a second photo
  const { content, reason } = await post("contributions", { body });
  element("send").disabled = false;
  if (content?.receipt) {
    element("erase-token").value = content.receipt.token; // not part of the answer, which another photo replaces
    element("erase-all").hidden = false;
  }
  if (photo !== sent) return; // another photo was chosen meanwhile
  if (reason) {
    state.textContent = problemText(language, reason);
    return;
  }
  element("contribute").hidden = true;
  if (content.receipt) {
    element("token").value = content.receipt.token;
    element("receipt").hidden = false;
    state.textContent = "";
    element("receipt").focus();
  } else {
    state.textContent = texts[language][`not_kept_${content.not_kept}`];
  }
}

// Requests the erasure of a photo by its `token`, or of all photos of a `contributor`.
async function erase(what, state) {
  const { content, reason } = await post("erasures", {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(what),
  });
  if (reason) {
    state.textContent = problemText(language, reason);
  } else if (content.state === "erased") {
    state.textContent = texts[language].erased(new Date(content.certificate.erasures[0].finished_at).toLocaleString(language));
  } else {
    state.textContent = texts[language][what.contributor ? "requestedAll" : "requested"];
  }
  return !reason;
}

async function post(address, options) {
  try {
    const response = await fetch(address, { method: "POST", ...options });
    const content = await response.json();
    return response.ok ? { content } : { reason: content.reason ?? "other" };
  } catch {
    return { reason: "offline" };
  }
}

element("contribute").addEventListener("submit", contribute);
element("erase").addEventListener("submit", (event) => {
  event.preventDefault();
  erase({ token: element("erase-token").value }, element("erase-state"));
});
element("erase-now").addEventListener("click", async () => {
  // The token stays: it shows the proof.
  if (await erase({ token: element("token").value }, element("contribution-state"))) element("erase-now").hidden = true;
});
element("erase-all").addEventListener("click", () => {
  const contributor = knownCode();
  if (contributor && confirm(texts[language].eraseAllConfirm)) erase({ contributor }, element("erase-state"));
});
element("copy").addEventListener("click", async () => {
  const [range, selection] = [document.createRange(), getSelection()];
  range.selectNodeContents(element("token"));
  selection.removeAllRanges();
  selection.addRange(range); // where copying is forbidden, the user can do it
  try {
    await navigator.clipboard.writeText(element("token").value);
    element("contribution-state").textContent = texts[language].copied;
  } catch {
    // As above.
  }
});
fetch("contributions")
  .then((response) => response.json())
  .then((terms) => {
    keepsPhotos = Boolean(terms.keeps_photos);
    element("erasure").hidden = !keepsPhotos;
    element("erase-all").hidden = !knownCode();
  })
  .catch(() => {}); // offline: there is nothing to contribute to
