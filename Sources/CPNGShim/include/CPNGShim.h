#ifndef MMDIST_CPNG_SHIM_H
#define MMDIST_CPNG_SHIM_H

#include <stddef.h>
#include <stdint.h>

// libpng with its errors as return codes: libpng reports them by longjmp, which must not cross Swift.

typedef enum {
  MMDIST_PNG_DONE = 0,
  /// The data ended before the picture was whole.
  MMDIST_PNG_TRUNCATED = 1,
  /// libpng gave up; the reason is in `mmdist_png_reason`.
  MMDIST_PNG_BROKEN = 2,
} mmdist_png_outcome;

typedef struct mmdist_png_reader mmdist_png_reader;

/// A reader of `count` bytes, which must outlive it; NULL when there is no memory.
mmdist_png_reader *_Nullable mmdist_png_open(const uint8_t *_Nonnull bytes, size_t count);
void mmdist_png_close(mmdist_png_reader *_Nonnull reader);

/// Reads up to the picture's data; after it the size is known.
mmdist_png_outcome mmdist_png_read_header(mmdist_png_reader *_Nonnull reader);
size_t mmdist_png_width(const mmdist_png_reader *_Nonnull reader);
size_t mmdist_png_height(const mmdist_png_reader *_Nonnull reader);

/// Decodes into `rgb`, height x width x 3: alpha, transparency and gamma are ignored, 16 bits give their high byte.
mmdist_png_outcome mmdist_png_read_pixels(mmdist_png_reader *_Nonnull reader, uint8_t *_Nonnull rgb);

/// The eXIf chunk, its length in `count`, or NULL; whole only after `mmdist_png_read_pixels`.
const uint8_t *_Nullable mmdist_png_exif(mmdist_png_reader *_Nonnull reader, size_t *_Nonnull count);

/// The last text of this keyword, its length in `count`, or NULL; whole only after `mmdist_png_read_pixels`.
const uint8_t *_Nullable mmdist_png_text(mmdist_png_reader *_Nonnull reader, const char *_Nonnull keyword,
                                         size_t *_Nonnull count);

/// Why the last call was `MMDIST_PNG_BROKEN`.
const char *_Nonnull mmdist_png_reason(const mmdist_png_reader *_Nonnull reader);

/// Compresses height x width x 3 bytes; `*bytes` is malloc'ed, NULL when it failed.
void mmdist_png_encode(const uint8_t *_Nonnull rgb, size_t width, size_t height,
                       uint8_t *_Nullable *_Nonnull bytes, size_t *_Nonnull count);

#endif
