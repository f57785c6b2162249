#ifndef MMDIST_CJPEG_SHIM_H
#define MMDIST_CJPEG_SHIM_H

#include <stddef.h>
#include <stdint.h>

// libjpeg with its errors as return codes: libjpeg reports them by longjmp, which must not cross Swift.

typedef enum {
  MMDIST_JPEG_DONE = 0,
  /// The data ended before the picture was whole.
  MMDIST_JPEG_TRUNCATED = 1,
  /// libjpeg gave up; the reason is in `mmdist_jpeg_reason`.
  MMDIST_JPEG_BROKEN = 2,
} mmdist_jpeg_outcome;

typedef struct mmdist_jpeg_reader mmdist_jpeg_reader;

/// A reader of `count` bytes, which must outlive it; NULL when there is no memory.
mmdist_jpeg_reader *_Nullable mmdist_jpeg_open(const uint8_t *_Nonnull bytes, size_t count);
void mmdist_jpeg_close(mmdist_jpeg_reader *_Nonnull reader);

/// Reads up to the first scan; after it the size, the components and the APP1 segments are known.
mmdist_jpeg_outcome mmdist_jpeg_read_header(mmdist_jpeg_reader *_Nonnull reader);
size_t mmdist_jpeg_width(const mmdist_jpeg_reader *_Nonnull reader);
size_t mmdist_jpeg_height(const mmdist_jpeg_reader *_Nonnull reader);

/// The `index`th APP1 segment (EXIF or XMP), its length in `count`; NULL after the last,
/// and after the pixels were read.
const uint8_t *_Nullable mmdist_jpeg_app1(const mmdist_jpeg_reader *_Nonnull reader, size_t index,
                                          size_t *_Nonnull count);

/// Decodes into `rgb`, height x width x 3; grey is repeated, CMYK and YCCK are taken as Adobe's (inverted).
/// A picture whose scans have more than `most_pixels` together is broken.
mmdist_jpeg_outcome mmdist_jpeg_read_pixels(mmdist_jpeg_reader *_Nonnull reader, uint8_t *_Nonnull rgb,
                                            uint64_t most_pixels);

/// Why the last call was `MMDIST_JPEG_BROKEN`.
const char *_Nonnull mmdist_jpeg_reason(const mmdist_jpeg_reader *_Nonnull reader);

/// Compresses height x width x 3 bytes (4:2:0, baseline); `*bytes` is malloc'ed, NULL when it failed.
void mmdist_jpeg_encode(const uint8_t *_Nonnull rgb, size_t width, size_t height, int quality,
                        uint8_t *_Nullable *_Nonnull bytes, size_t *_Nonnull count);

#endif
