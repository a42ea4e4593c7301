// All that html-validate recommends but for three rules of style, none of them a rule of HTML.
export default {
  root: true,
  extends: ["html-validate:recommended"],
  rules: {
    "attr-quotes": "off", // HTML lets a value of one word go without quotes: a kilobyte on each of thousands of pages
    "no-implicit-close": "off", // as it lets cells, rows and items go without their end tags
    "no-inline-style": "off", // style attributes hold custom properties, the place of a picture in its sprite
  },
};
