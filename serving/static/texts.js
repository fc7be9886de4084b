// The page's texts, by language. A key that ends in a reason is a problem's `reason` (serving/problems.py).
export const texts = {
  en: {
    title: "Which fruit is this?",
    language: "Language",
    takeHeading: "Your photo",
    hint: "One fruit on a plain, light background works best.",
    camera: "Take a photo",
    file: "Choose a file",
    privacy:
      "The photo is scaled down on this device, sent to this service, analysed in memory and not kept. Nothing is stored.",
    photoAlt: "The photo that you chose",
    working: "Looking at the photo …",
    not_sure: "Not sure",
    not_sure_advice: "These are the likeliest answers. Take the photo closer, with one fruit on a plain, light background.",
    unknown: "Not a fruit I know",
    unknown_advice: "The photo is unlike everything I have learnt. Try one fruit on a plain, light background.",
    fruit: "Fruit",
    variety: "Variety",
    condition: "Condition",
    details: (milliseconds, model) => `${milliseconds} ms · model ${model}`,
    retry: "Try again",
    failed: "That did not work",
    offline: "There is no connection to the service. Check the network and try again.",
    unreadable: "This file is not a photo that I can read. Choose a JPEG, PNG or WebP.",
    too_large: "This photo is too large. Choose a smaller one.",
    too_many_pixels: "This photo has too many pixels. Choose a smaller one.",
    rate_limited: "Too many photos in a short time. Wait a minute and try again.",
    overloaded: "Many people are asking right now. Try again in a moment.",
    no_model: "The service has not learnt any fruit yet. Try again later.",
    timeout: "This photo took too long to read. Try another one.",
    too_slow: "Sending the photo took too long. Check the network and try again.",
    other: "The service had a problem. Try again in a moment.",
    conditions: { fresh: "fresh", unripe: "unripe", damaged: "damaged", rotten: "rotten" },
    fruits: {},
  },
  fr: {
    title: "Quel est ce fruit ?",
    language: "Langue",
    takeHeading: "Votre photo",
    hint: "De préférence un seul fruit, sur un fond clair et uni.",
    camera: "Prendre une photo",
    file: "Choisir un fichier",
    privacy:
      "La photo est réduite sur cet appareil, envoyée à ce service, analysée en mémoire et n’est pas conservée. Rien n’est enregistré.",
    photoAlt: "La photo que vous avez choisie",
    working: "Analyse de la photo …",
    not_sure: "Pas certain",
    not_sure_advice:
      "Voici les réponses les plus probables. Prenez la photo de plus près, un seul fruit sur un fond clair et uni.",
    unknown: "Un fruit que je ne connais pas",
    unknown_advice: "La photo ne ressemble à rien de ce que j’ai appris. Essayez un seul fruit sur un fond clair et uni.",
    fruit: "Fruit",
    variety: "Variété",
    condition: "État",
    details: (milliseconds, model) => `${milliseconds} ms · modèle ${model}`,
    retry: "Réessayer",
    failed: "Cela n’a pas fonctionné",
    offline: "Aucune connexion au service. Vérifiez le réseau et réessayez.",
    unreadable: "Ce fichier n’est pas une photo lisible. Choisissez un JPEG, PNG ou WebP.",
    too_large: "Cette photo est trop lourde. Choisissez-en une plus petite.",
    too_many_pixels: "Cette photo a trop de pixels. Choisissez-en une plus petite.",
    rate_limited: "Beaucoup de photos en peu de temps. Attendez une minute et réessayez.",
    overloaded: "Le service est très sollicité. Réessayez dans un instant.",
    no_model: "Le service n’a encore appris aucun fruit. Réessayez plus tard.",
    timeout: "La lecture de cette photo a pris trop de temps. Essayez-en une autre.",
    too_slow: "L’envoi de la photo a pris trop de temps. Vérifiez le réseau et réessayez.",
    other: "Le service a rencontré un problème. Réessayez dans un instant.",
    conditions: { fresh: "frais", unripe: "pas mûr", damaged: "abîmé", rotten: "pourri" },
    fruits: {
      apple: "pomme", apricot: "abricot", aubergine: "aubergine", avocado: "avocat", banana: "banane", blueberry: "myrtille", carrot: "carotte",
      cherry: "cerise", clementine: "clémentine", courgette: "courgette", cucumber: "concombre", fig: "figue", grape: "raisin",
      grapefruit: "pamplemousse", kiwi: "kiwi", lemon: "citron", lime: "citron vert", mango: "mangue", melon: "melon", nectarine: "nectarine",
      onion: "oignon", orange: "orange", peach: "pêche", pear: "poire", pepper: "poivron", pineapple: "ananas", plum: "prune",
      potato: "pomme de terre", raspberry: "framboise", strawberry: "fraise", tomato: "tomate", watermelon: "pastèque",
    },
  },
};

const UNREADABLE = new Set(["empty", "not_an_image", "format_not_allowed", "decoder_missing", "truncated", "too_slow_to_decode", "too_much_memory", "no_photo", "malformed", "worker_died"]);

// Returns the sentence for a problem's reason.
export function problemText(language, reason) {
  const known = texts[language];
  if (UNREADABLE.has(reason)) return known.unreadable;
  return typeof known[reason] === "string" ? known[reason] : known.other;
}
