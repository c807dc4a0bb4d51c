/** What is drawn when nothing is asked for. */
export const EXAMPLES = [
  "a smiling woman with long blonde hair and a red shirt on a blue background",
  "a bald man with a beard and sunglasses on a yellow background",
  "a surprised face with pink pigtails and round glasses",
  "a frowning man with a green mohawk and a striped black shirt",
  "a happy person wearing a blue baseball cap and a white shirt on an orange wall",
  "a dark face with curly ginger hair and a checkered purple sweater",
];
