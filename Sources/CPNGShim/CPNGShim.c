#include "CPNGShim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

struct mmdist_png_reader {
  png_structp state;
  png_infop info;
  const uint8_t *next;
  size_t left;
  int ran_out;
  int rows_done;
  char reason[160];
};

// MARK: libpng's callbacks

static void leave(png_structp state, png_const_charp message) {
  mmdist_png_reader *reader = png_get_error_ptr(state);
  snprintf(reader->reason, sizeof reader->reason, "%s", message);
  png_longjmp(state, 1);
}

static void ignore_warning(png_structp state, png_const_charp message) {
  (void)state;
  (void)message;
}

static void take(png_structp state, png_bytep target, size_t count) {
  mmdist_png_reader *reader = png_get_io_ptr(state);
  if (count > reader->left) {
    reader->ran_out = 1;
    png_error(state, "the data ends early");
  }
  memcpy(target, reader->next, count);
  reader->next += count;
  reader->left -= count;
}

static mmdist_png_outcome failed(const mmdist_png_reader *reader) {
  return reader->ran_out ? MMDIST_PNG_TRUNCATED : MMDIST_PNG_BROKEN;
}

// MARK: Reading

mmdist_png_reader *mmdist_png_open(const uint8_t *bytes, size_t count) {
  mmdist_png_reader *reader = calloc(1, sizeof *reader);
  if (!reader) return NULL;
  reader->next = bytes;
  reader->left = count;
  reader->state = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, leave, ignore_warning);
  reader->info = reader->state ? png_create_info_struct(reader->state) : NULL;
  if (!reader->info) {
    mmdist_png_close(reader);
    return NULL;
  }
  if (setjmp(png_jmpbuf(reader->state))) {
    mmdist_png_close(reader);
    return NULL;
  }
  png_set_read_fn(reader->state, reader, take);
  png_set_user_limits(reader->state, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_crc_action(reader->state, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_benign_errors(reader->state, 1);
  return reader;
}

void mmdist_png_close(mmdist_png_reader *reader) {
  if (reader->state) png_destroy_read_struct(&reader->state, reader->info ? &reader->info : NULL, NULL);
  free(reader);
}

mmdist_png_outcome mmdist_png_read_header(mmdist_png_reader *reader) {
  if (setjmp(png_jmpbuf(reader->state))) return failed(reader);
  png_read_info(reader->state, reader->info);
  return MMDIST_PNG_DONE;
}

size_t mmdist_png_width(const mmdist_png_reader *reader) {
  return png_get_image_width(reader->state, reader->info);
}
size_t mmdist_png_height(const mmdist_png_reader *reader) {
  return png_get_image_height(reader->state, reader->info);
}
const char *mmdist_png_reason(const mmdist_png_reader *reader) { return reader->reason; }

/// Replaces the indices in the last third of a row by colours; entries that the palette lacks are black.
static void colour(uint8_t *row, size_t width, const uint8_t colours[256][3]) {
  const uint8_t *indices = row + 2 * width;
  for (size_t x = 0; x < width; x++) {
    const uint8_t *colour = colours[indices[x]];
    for (int c = 0; c < 3; c++) row[3 * x + c] = colour[c];
  }
}

mmdist_png_outcome mmdist_png_read_pixels(mmdist_png_reader *reader, uint8_t *rgb) {
  png_structp state = reader->state;
  png_infop info = reader->info;
  // What comes after the last row (text, the end mark) may be damaged: the picture is whole.
  if (setjmp(png_jmpbuf(state))) return reader->rows_done ? MMDIST_PNG_DONE : failed(reader);
  const int indexed = png_get_color_type(state, info) == PNG_COLOR_TYPE_PALETTE;
  png_set_packing(state);
  png_set_strip_16(state);
  png_set_strip_alpha(state);
  if (!indexed) {
    png_set_expand_gray_1_2_4_to_8(state);
    png_set_gray_to_rgb(state);
  }
  const int passes = png_set_interlace_handling(state);
  png_read_update_info(state, info);
  const size_t width = png_get_image_width(state, info), height = png_get_image_height(state, info);
  if (png_get_rowbytes(state, info) != width * (indexed ? 1 : 3)) png_error(state, "unknown pixel layout");

  for (int pass = 0; pass < passes; pass++) {
    for (size_t y = 0; y < height; y++) {
      png_read_row(state, rgb + y * width * 3 + (indexed ? 2 * width : 0), NULL);
    }
  }
  if (indexed) {
    uint8_t colours[256][3] = {{0}};
    png_colorp palette = NULL;
    int entries = 0;
    png_get_PLTE(state, info, &palette, &entries);
    for (int i = 0; i < entries && i < 256; i++) {
      memcpy(colours[i], (uint8_t[]){palette[i].red, palette[i].green, palette[i].blue}, 3);
    }
    for (size_t y = 0; y < height; y++) colour(rgb + y * width * 3, width, colours);
  }
  reader->rows_done = 1;
  png_read_end(state, info);
  return MMDIST_PNG_DONE;
}

const uint8_t *mmdist_png_exif(mmdist_png_reader *reader, size_t *count) {
  if (setjmp(png_jmpbuf(reader->state))) return NULL;
  png_uint_32 size = 0;
  png_bytep bytes = NULL;
  if (!png_get_eXIf_1(reader->state, reader->info, &size, &bytes)) return NULL;
  *count = size;
  return bytes;
}

const uint8_t *mmdist_png_text(mmdist_png_reader *reader, const char *keyword, size_t *count) {
  if (setjmp(png_jmpbuf(reader->state))) return NULL;
  png_textp texts = NULL;
  int number = png_get_text(reader->state, reader->info, &texts, NULL);
  while (number-- > 0) {
    png_textp text = &texts[number];
    if (strcmp(text->key, keyword) != 0 || !text->text) continue;
    *count = text->compression > 0 ? text->itxt_length : text->text_length;
    return (const uint8_t *)text->text;
  }
  return NULL;
}

// MARK: Writing

void mmdist_png_encode(const uint8_t *rgb, size_t width, size_t height, uint8_t **bytes, size_t *count) {
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)width,
                     .height = (png_uint_32)height,
                     .format = PNG_FORMAT_RGB};
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  *bytes = malloc(size);
  if (!*bytes) return;
  if (!png_image_write_to_memory(&image, *bytes, &size, 0, rgb, 0, NULL)) {
    free(*bytes);
    *bytes = NULL;
    return;
  }
  *count = size;
}
