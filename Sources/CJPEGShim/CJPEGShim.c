#include "CJPEGShim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

/// No real picture has more scans; a hostile one decodes the whole picture once for each, so that those of large ones
/// are bounded by their pixels too.
enum { most_scans = 1000 };

typedef struct {
  struct jpeg_error_mgr manager;  // first, so that a pointer to it is a pointer to the whole
  jmp_buf escape;
  char reason[JMSG_LENGTH_MAX];
} failure;

struct mmdist_jpeg_reader {
  struct jpeg_decompress_struct state;  // first, as in a failure
  failure failure;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  uint64_t most_pixels;
};

// MARK: libjpeg's callbacks

static void leave(j_common_ptr state) {
  failure *failed = (failure *)state->err;
  state->err->format_message(state, failed->reason);
  longjmp(failed->escape, 1);
}

static void ignore_message(j_common_ptr state) { (void)state; }
static void nothing(j_decompress_ptr state) { (void)state; }

/// All bytes are there from the start; more would be a picture that was cut off, so decoding suspends.
static boolean no_more_input(j_decompress_ptr state) {
  (void)state;
  return FALSE;
}

static void skip_input(j_decompress_ptr state, long count) {
  if (count <= 0) return;
  size_t step = (size_t)count < state->src->bytes_in_buffer ? (size_t)count : state->src->bytes_in_buffer;
  state->src->next_input_byte += step;
  state->src->bytes_in_buffer -= step;
}

static void watch_scans(j_common_ptr state) {
  const mmdist_jpeg_reader *reader = (const mmdist_jpeg_reader *)state;
  const int scans = reader->state.input_scan_number;
  const uint64_t pixels = (uint64_t)reader->state.image_width * reader->state.image_height;
  if (scans <= most_scans && (uint64_t)scans * pixels <= reader->most_pixels) return;
  failure *failed = (failure *)state->err;
  snprintf(failed->reason, JMSG_LENGTH_MAX, "%d scans are too many", scans);
  longjmp(failed->escape, 1);
}

static void set_up(failure *failed) {
  jpeg_std_error(&failed->manager);
  failed->manager.error_exit = leave;
  failed->manager.output_message = ignore_message;
  failed->reason[0] = 0;
}

// MARK: Reading

mmdist_jpeg_reader *mmdist_jpeg_open(const uint8_t *bytes, size_t count) {
  mmdist_jpeg_reader *reader = calloc(1, sizeof *reader);
  if (!reader) return NULL;
  set_up(&reader->failure);
  reader->state.err = &reader->failure.manager;
  if (setjmp(reader->failure.escape)) {
    jpeg_destroy_decompress(&reader->state);
    free(reader);
    return NULL;
  }
  jpeg_create_decompress(&reader->state);
  reader->source = (struct jpeg_source_mgr){
      .next_input_byte = bytes,
      .bytes_in_buffer = count,
      .init_source = nothing,
      .fill_input_buffer = no_more_input,
      .skip_input_data = skip_input,
      .resync_to_restart = jpeg_resync_to_restart,
      .term_source = nothing,
  };
  reader->state.src = &reader->source;
  reader->progress.progress_monitor = watch_scans;
  reader->state.progress = &reader->progress;
  jpeg_save_markers(&reader->state, JPEG_APP0 + 1, 0xFFFF);
  return reader;
}

void mmdist_jpeg_close(mmdist_jpeg_reader *reader) {
  jpeg_destroy_decompress(&reader->state);
  free(reader);
}

mmdist_jpeg_outcome mmdist_jpeg_read_header(mmdist_jpeg_reader *reader) {
  j_decompress_ptr state = &reader->state;
  if (setjmp(reader->failure.escape)) return MMDIST_JPEG_BROKEN;
  int found;
  do found = jpeg_read_header(state, FALSE);
  while (found == JPEG_HEADER_TABLES_ONLY);
  if (found == JPEG_SUSPENDED) return MMDIST_JPEG_TRUNCATED;
  if (state->num_components != 1 && state->num_components != 3 && state->num_components != 4) {
    snprintf(reader->failure.reason, JMSG_LENGTH_MAX, "%d colour components", state->num_components);
    return MMDIST_JPEG_BROKEN;
  }
  return MMDIST_JPEG_DONE;
}

size_t mmdist_jpeg_width(const mmdist_jpeg_reader *reader) { return reader->state.image_width; }
size_t mmdist_jpeg_height(const mmdist_jpeg_reader *reader) { return reader->state.image_height; }
const char *mmdist_jpeg_reason(const mmdist_jpeg_reader *reader) { return reader->failure.reason; }

const uint8_t *mmdist_jpeg_app1(const mmdist_jpeg_reader *reader, size_t index, size_t *count) {
  jpeg_saved_marker_ptr segment = reader->state.marker_list;
  while (segment && index--) segment = segment->next;
  if (!segment) return NULL;
  *count = segment->data_length;
  return segment->data;
}

/// a x b / 255, rounded.
static int share(int a, int b) {
  int product = a * b + 128;
  return (product + (product >> 8)) >> 8;
}

/// One row of inverted CMYK to RGB: each of R, G, B is K' - (255 - C') K' / 255.
static void rgb_from_adobe(const uint8_t *cmyk, uint8_t *rgb, size_t width) {
  for (size_t x = 0; x < width; x++, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(cmyk[3] - share(255 - cmyk[c], cmyk[3]));
  }
}

mmdist_jpeg_outcome mmdist_jpeg_read_pixels(mmdist_jpeg_reader *reader, uint8_t *rgb, uint64_t most_pixels) {
  j_decompress_ptr state = &reader->state;
  reader->most_pixels = most_pixels;
  if (setjmp(reader->failure.escape)) return MMDIST_JPEG_BROKEN;
  const int cmyk = state->num_components == 4;
  state->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  if (!jpeg_start_decompress(state)) return MMDIST_JPEG_TRUNCATED;
  JSAMPROW inks = cmyk ? (JSAMPROW)state->mem->alloc_large(
                             (j_common_ptr)state, JPOOL_IMAGE, (size_t)state->output_width * 4)
                       : NULL;
  const size_t stride = (size_t)state->output_width * 3;
  while (state->output_scanline < state->output_height) {
    JSAMPROW row = rgb + stride * state->output_scanline;
    if (jpeg_read_scanlines(state, cmyk ? &inks : &row, 1) != 1) return MMDIST_JPEG_TRUNCATED;
    if (cmyk) rgb_from_adobe(inks, row, state->output_width);
  }
  // Finds damage behind the last row; that the end mark alone is cut off does no harm.
  jpeg_finish_decompress(state);
  return MMDIST_JPEG_DONE;
}

// MARK: Writing

void mmdist_jpeg_encode(const uint8_t *rgb, size_t width, size_t height, int quality, uint8_t **bytes, size_t *count) {
  struct jpeg_compress_struct state = {0};
  failure failed;
  unsigned char *buffer = NULL;
  unsigned long size = 0;
  *bytes = NULL;
  if (width > JPEG_MAX_DIMENSION || height > JPEG_MAX_DIMENSION) return;
  set_up(&failed);
  state.err = &failed.manager;
  if (setjmp(failed.escape)) {
    jpeg_destroy_compress(&state);
    return;
  }
  jpeg_create_compress(&state);
  jpeg_mem_dest(&state, &buffer, &size);
  state.image_width = (JDIMENSION)width;
  state.image_height = (JDIMENSION)height;
  state.input_components = 3;
  state.in_color_space = JCS_RGB;
  jpeg_set_defaults(&state);
  jpeg_set_quality(&state, quality, TRUE);
  jpeg_start_compress(&state, TRUE);
  while (state.next_scanline < state.image_height) {
    JSAMPROW row = (JSAMPROW)(rgb + width * 3 * state.next_scanline);
    jpeg_write_scanlines(&state, &row, 1);
  }
  jpeg_finish_compress(&state);
  jpeg_destroy_compress(&state);
  *bytes = buffer;
  *count = size;
}
