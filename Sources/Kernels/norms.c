#include "Kernels.h"
#include "vector_math.h"

MULTIVERSION void mmd_rms_norm(const float *x, const float *weight, float epsilon, float *y, uint16_t *half_y,
                               float *inverse_rms, size_t rows, size_t width) {
#pragma clang fp reassociate(on)
  for (size_t r = 0; r < rows; r++, x += width) {
    float squares = 0;
    for (size_t i = 0; i < width; i++) squares += x[i] * x[i];
    const float inverse = 1.0f / sqrtf(squares / (float)width + epsilon);
    inverse_rms[r] = inverse;
    if (half_y)
      for (size_t i = 0; i < width; i++) half_y[r * width + i] = bf16_of(x[i] * inverse * weight[i]);
    else
      for (size_t i = 0; i < width; i++) y[r * width + i] = x[i] * inverse * weight[i];
  }
}

MULTIVERSION void mmd_rms_norm_backward(const float *x, const float *weight, const float *inverse_rms, const float *dy,
                                        const float *residual, float *dx, float *dweight, size_t rows, size_t width) {
#pragma clang fp reassociate(on)
  for (size_t r = 0; r < rows; r++, x += width, dy += width) {
    const float inverse = inverse_rms[r];
    if (dweight)
      for (size_t i = 0; i < width; i++) dweight[i] += dy[i] * x[i] * inverse;
    if (!dx) continue;
    float along = 0;
    for (size_t i = 0; i < width; i++) along += dy[i] * weight[i] * x[i];
    const float pull = along * inverse * inverse * inverse / (float)width;
    if (residual) {
      for (size_t i = 0; i < width; i++) dx[i] = residual[i] + (dy[i] * weight[i] * inverse - x[i] * pull);
      residual += width;
    } else {
      for (size_t i = 0; i < width; i++) dx[i] = dy[i] * weight[i] * inverse - x[i] * pull;
    }
    dx += width;
  }
}

MULTIVERSION void mmd_layer_norm(const float *x, const float *weight, const float *bias, float epsilon, float *y,
                                 float *mean, float *inverse_deviation, size_t rows, size_t width) {
#pragma clang fp reassociate(on)
  for (size_t r = 0; r < rows; r++, x += width, y += width) {
    float sum = 0;
    for (size_t i = 0; i < width; i++) sum += x[i];
    const float centre = sum / (float)width;
    float squares = 0;
    for (size_t i = 0; i < width; i++) squares += (x[i] - centre) * (x[i] - centre);
    const float inverse = 1.0f / sqrtf(squares / (float)width + epsilon);
    mean[r] = centre;
    inverse_deviation[r] = inverse;
    for (size_t i = 0; i < width; i++) y[i] = (x[i] - centre) * inverse * weight[i] + bias[i];
  }
}

MULTIVERSION void mmd_layer_norm_backward(const float *x, const float *weight, const float *mean,
                                          const float *inverse_deviation, const float *dy, float *dx, float *dweight,
                                          float *dbias, size_t rows, size_t width) {
#pragma clang fp reassociate(on)
  for (size_t r = 0; r < rows; r++, x += width, dy += width) {
    const float centre = mean[r], inverse = inverse_deviation[r];
    if (dweight)
      for (size_t i = 0; i < width; i++) dweight[i] += dy[i] * (x[i] - centre) * inverse;
    if (dbias)
      for (size_t i = 0; i < width; i++) dbias[i] += dy[i];
    if (!dx) continue;
    float total = 0, along = 0;
    for (size_t i = 0; i < width; i++) {
      const float g = dy[i] * weight[i];
      total += g;
      along += g * (x[i] - centre) * inverse;
    }
    const float mean_total = total / (float)width, mean_along = along / (float)width;
    for (size_t i = 0; i < width; i++)
      dx[i] = inverse * (dy[i] * weight[i] - mean_total - (x[i] - centre) * inverse * mean_along);
    dx += width;
  }
}
