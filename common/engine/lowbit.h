/* Run a quantized network from one file: open, describe, normalize, run, close.
 *
 *   lowbit_network* network;
 *   char error[256];
 *   if (lowbit_open("net.lowbit", &network, error, sizeof error)) { fprintf(stderr, "%s\n", error); exit(2); }
 *   lowbit_normalize(network, pixels, 1, image);
 *   if (lowbit_run(network, image, 1, 1, logits, error, sizeof error)) ...
 *   lowbit_close(network);
 *
 * Functions that can fail return 0, or another number and a text of one line in `error`, ended by a zero and cut to
 * `error_size` bytes; `error` may be null where `error_size` is 0. A network does not change after it is opened: any
 * number of threads may run it at the same time. Link with -llowbit; examples/classify.c is a whole program. */
#ifndef LOWBIT_H
#define LOWBIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lowbit_network lowbit_network;

/* What a file says of itself; texts are UTF-8 and live as long as the network. */
typedef struct lowbit_description {
  int32_t channels, height, width; /* of an image */
  int32_t classes;                 /* logits of an image */
  int32_t choices;                 /* numbers behind its logits: candidates that the image has chosen; usually 0 */
  int32_t resize;                  /* the shorter side of a picture before its middle is taken; 0: as it is */
  const char* interpolation;       /* of resizing, such as "bilinear" */
  double mean[3], deviation[3];    /* per channel, of values from 0 to 1 */
  double accuracy;                 /* share of `samples` test images whose class is right; 0 of 0: not measured */
  int64_t samples;
  const char *network, *method, *dataset; /* names: the architecture, the quantization, the images */
  const char* producer;                   /* what wrote the file */
  const char* const* class_names;         /* one for each class; null: not known */
  const char* instructions;               /* that run: "vnni", "avx2" or "plain" */
  int64_t bytes;         /* that the open network takes, about */
  int64_t thread_bytes;  /* that each thread of a run takes at most beside that, and no other memory; kept for the next */
  int64_t multiply_adds; /* of an image, whatever it chooses */
} lowbit_description;

/* Reads a file and checks all of it. */
int lowbit_open(const char* path, lowbit_network** network, char* error, size_t error_size);

/* The same from `size` bytes, which are not needed afterwards. */
int lowbit_open_memory(const void* content, size_t size, lowbit_network** network, char* error, size_t error_size);

const lowbit_description* lowbit_describe(const lowbit_network* network);

/* Images (count, channels, height, width) of pixels (count, height, width, channels) from 0 to 255, of 3 channels:
 * (x / 255 - mean) / deviation. */
void lowbit_normalize(const lowbit_network* network, const uint8_t* pixels, int64_t count, float* images);

/* Logits (count, classes + choices) of images (count, channels, height, width), on up to `threads` threads; 0: as many
 * as the machine has; of fewer images than threads, each is computed by all of them together. They do not depend on
 * threads, count or instructions. Threads are kept for the next run: a library that is in use is not to be unloaded. */
int lowbit_run(const lowbit_network* network, const float* images, int64_t count, int threads, float* logits,
               char* error, size_t error_size);

/* Null is allowed. */
void lowbit_close(lowbit_network* network);

#ifdef __cplusplus
}
#endif
#endif
