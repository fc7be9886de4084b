// The page's texts, by language. A key that ends in a reason is a problem's `reason` (serving/problems.py).
export const CONSENT_VERSION = "2026-11-27"; // of `terms` and `consent`: a change of them is a new version (serving/contributions.py)

export const texts = {
  en: {
    title: "Which fruit is this?",
    language: "Language",
    takeHeading: "Your photo",
    hint: "One fruit on a plain, light background works best.",
    camera: "Take a photo",
    file: "Choose a file",
    privacy:
      "The photo is scaled down on this device, sent to this service, analysed in memory and not kept, unless you agree to that afterwards.",
    contribute: "Help to improve the answer",
    consent: "Keep my photo to improve the model.",
    terms:
      "What is kept: the photo without its time and place, the answer above, and a random code of this browser in a form that only this service can trace. " +
      "Where: in the European Union. Who sees it: the people who name the fruit on it. How long: the photo less than 15 days; the numbers computed from it and its name until you delete them. " +
      "You get a token that deletes all of it at any time. Please contribute no photos of people.",
    send: "Contribute this photo",
    agreeFirst: "Tick the box first, if you agree.",
    kept: "The photo is kept. Thank you.",
    keepToken: "This token deletes it, and is shown only now:",
    copy: "Copy the token",
    copied: "Copied.",
    eraseNow: "Delete the photo",
    not_kept_sure: "The photo is not kept: the answer is certain now.",
    not_kept_too_many: "The photo is not kept: you have contributed as many as we can use today. Thank you.",
    eraseHeading: "Delete a contributed photo",
    eraseLabel: "The token that you were given",
    erase: "Delete",
    requested: "The photo and everything that was made of it will be deleted within some hours. The same token then shows the proof.",
    erased: (at) => `Deleted on ${at}.`,
    unknown_token: "This token is not complete. Copy the whole token.",
    consent_outdated: "The conditions have changed. Load this page again.",
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
      "La photo est réduite sur cet appareil, envoyée à ce service, analysée en mémoire et n’est pas conservée, sauf si vous l’acceptez ensuite.",
    contribute: "Aider à améliorer la réponse",
    consent: "Conserver ma photo pour améliorer le modèle.",
    terms:
      "Ce qui est conservé : la photo sans sa date ni son lieu, la réponse ci-dessus et un code aléatoire de ce navigateur, sous une forme que seul ce service peut relier. " +
      "Où : dans l’Union européenne. Qui la voit : les personnes qui nomment le fruit. Combien de temps : la photo moins de 15 jours ; les nombres calculés à partir d’elle et son nom jusqu’à ce que vous les supprimiez. " +
      "Vous recevez un jeton qui supprime le tout à tout moment. Merci de ne pas envoyer de photos de personnes.",
    send: "Donner cette photo",
    agreeFirst: "Cochez d’abord la case, si vous êtes d’accord.",
    kept: "La photo est conservée. Merci.",
    keepToken: "Ce jeton la supprime ; il n’est affiché que maintenant :",
    copy: "Copier le jeton",
    copied: "Copié.",
    eraseNow: "Supprimer la photo",
    not_kept_sure: "La photo n’est pas conservée : la réponse est maintenant certaine.",
    not_kept_too_many: "La photo n’est pas conservée : vous en avez donné autant que nous pouvons en utiliser aujourd’hui. Merci.",
    eraseHeading: "Supprimer une photo donnée",
    eraseLabel: "Le jeton que vous avez reçu",
    erase: "Supprimer",
    requested: "La photo et tout ce qui en a été tiré seront supprimés dans quelques heures. Le même jeton en montrera alors la preuve.",
    erased: (at) => `Supprimée le ${at}.`,
    unknown_token: "Ce jeton n’est pas complet. Copiez le jeton en entier.",
    consent_outdated: "Les conditions ont changé. Rechargez cette page.",
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
