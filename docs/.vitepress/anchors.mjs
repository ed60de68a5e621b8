/** The anchor of a heading, as code hosts give it, so that one link serves there and here. */
export const slugify = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, '')
    .replaceAll(' ', '-')
