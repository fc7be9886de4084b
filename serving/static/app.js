// The page: takes a photo, scales it down, asks the service, shows the answer.
import * as contributing from "./contribute.js";
import { problemText, texts } from "./texts.js";

const LONGEST_SIDE_PX = 1024;
const JPEG_QUALITY = 0.9;
const HEADS = ["fruit", "variety", "condition"];

const element = (id) => document.getElementById(id);
const result = element("result");
let language = preferredLanguage();
let lastPhoto = null;
let shown = { state: "empty" };
let asked = 0;

function preferredLanguage() {
  try {
    const kept = localStorage.getItem("language");
    if (kept in texts) return kept;
  } catch {
    // Storage may be forbidden; the browser's languages decide then.
  }
  const wanted = navigator.languages.map((name) => name.slice(0, 2));
  return wanted.find((name) => name in texts) ?? "en";
}

function setLanguage(name) {
  language = name;
  try {
    localStorage.setItem("language", name);
  } catch {
    // The choice then lasts as long as the page.
  }
  const known = texts[language];
  document.documentElement.lang = language;
  document.title = known.title;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = known[node.dataset.text];
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", known[node.dataset.label]);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  element("photo").alt = known.photoAlt;
  contributing.setLanguage(language);
  show(shown);
}

// Scales a photo down in the browser. The new JPEG has no EXIF, so no place and no time of the photo leave the device.
async function scaledDown(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // JPEG has no transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no blob"))), "image/jpeg", JPEG_QUALITY);
  });
}

async function ask(file) {
  asked += 1;
  const question = asked;
  lastPhoto = file;
  contributing.offer("busy", null);
  show({ state: "busy" });
  const state = await answerOf(file);
  if (question !== asked) return; // another photo was chosen meanwhile
  show(state);
  contributing.offer(state.state, state.photo);
  result.focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  result.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "nearest" });
}

async function answerOf(file) {
  let photo;
  try {
    photo = await scaledDown(file);
  } catch {
    hidePhoto();
    return { state: "failed", reason: "not_an_image" };
  }
  showPhoto(photo);
  const body = new FormData();
  body.append("photo", photo, "photo.jpg");
  let response;
  try {
    response = await fetch("predict", { method: "POST", body });
  } catch {
    return { state: "failed", reason: "offline" };
  }
  try {
    const content = await response.json();
    return response.ok ? { state: content.verdict, answer: content, photo } : { state: "failed", reason: content.reason };
  } catch {
    return { state: "failed", reason: "other" };
  }
}

function showPhoto(photo) {
  const image = element("photo");
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(photo);
  image.hidden = false;
  element("hint").hidden = true;
  element("frame").classList.add("full");
}

function hidePhoto() {
  element("photo").hidden = true;
  element("hint").hidden = false;
  element("frame").classList.remove("full");
}

function show(state) {
  shown = state;
  const known = texts[language];
  result.hidden = state.state === "empty";
  result.className = `result ${state.state}`;
  element("retry").hidden = state.state !== "failed";
  const answer = state.answer;
  element("answers").replaceChildren(...(answer ? HEADS.filter((head) => answer[head]).flatMap((head) => list(head, answer[head])) : []));
  element("details").textContent = answer ? known.details(number(answer.milliseconds.total), answer.models.classifier) : "";
  element("result-heading").textContent = heading(state);
  element("advice").textContent = advice(state);
}

function heading(state) {
  const known = texts[language];
  if (state.state === "empty") return "";
  if (state.state === "busy") return known.working;
  if (state.state === "sure") return state.answer.fruit ? capitalized(fruitName(state.answer.fruit.name)) : state.answer.variety.name;
  return known[state.state];
}

function advice(state) {
  if (state.state === "failed") return problemText(language, state.reason);
  if (state.state === "sure") return summary(state.answer);
  return texts[language][`${state.state}_advice`] ?? "";
}

function summary({ variety, condition }) {
  return condition ? `${variety.name}, ${nameOf("condition", condition.name)}` : variety.name;
}

function list(head, answer) {
  const title = document.createElement("h3");
  title.textContent = texts[language][head];
  const items = document.createElement("ol");
  for (const candidate of answer.top) {
    if (candidate.probability < 0.005 && candidate.name !== answer.name) continue;
    const item = document.createElement("li");
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.style.width = `${candidate.probability * 100}%`;
    const name = document.createElement("span");
    name.textContent = nameOf(head, candidate.name);
    const share = document.createElement("span");
    share.textContent = new Intl.NumberFormat(language, { style: "percent" }).format(candidate.probability);
    item.append(bar, name, share);
    items.append(item);
  }
  return [title, items];
}

function nameOf(head, name) {
  if (head === "condition") return texts[language].conditions[name] ?? name;
  return head === "fruit" ? fruitName(name) : name;
}

const fruitName = (name) => texts[language].fruits[name] ?? name;
const capitalized = (text) => text.charAt(0).toLocaleUpperCase(language) + text.slice(1);
const number = (value) => new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(value);

for (const id of ["camera", "file"]) {
  element(id).addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = ""; // so that the same file can be chosen again
    if (file) ask(file);
  });
}
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => setLanguage(button.dataset.language));
}
element("retry").addEventListener("click", () => lastPhoto && ask(lastPhoto));
addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) ask(file);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return; // text can be dragged into the field for the token
    event.preventDefault();
    element("frame").classList.toggle("over", name === "dragover");
    const file = name === "drop" ? event.dataTransfer.files[0] : null;
    if (file) ask(file);
  });
}
setLanguage(language);
if ("serviceWorker" in navigator) navigator.serviceWorker.register("sw.js").catch(() => {}); // without it, the page works online
