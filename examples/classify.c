/* Classify a picture with a quantized network:  classify NETWORK.lowbit PICTURE.ppm
 *
 *   cc -I common/engine examples/classify.c -L FOLDER -llowbit -Wl,-rpath,FOLDER -o classify
 *
 * `python -m lowbitzoo.library FOLDER` puts liblowbit.so and lowbit.h there. The picture is a binary PPM (P6) of 8 bits
 * whose size is the network's; ImageMagick makes one: convert a.png -resize 32x32! a.ppm */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "lowbit.h"

static int fail(const char *name, const char *reason) {
  fprintf(stderr, "error: %s: %s\n", name, reason);
  return 2;
}

/* The next number of a PPM's head; -1 where none follows. */
static int number(FILE *file) {
  int c = fgetc(file), value = 0, digits = 0;
  while (isspace(c) || c == '#') {
    if (c == '#')
      while (c != '\n' && c != EOF) c = fgetc(file);
    c = fgetc(file);
  }
  for (; isdigit(c) && digits < 6; ++digits, c = fgetc(file)) value = 10 * value + c - '0';
  return digits ? value : -1;
}

/* Pixels of a picture of a certain size; null, and the reason, where it is none. */
static uint8_t *read_picture(const char *name, int width, int height, const char **reason) {
  size_t size = (size_t)width * height * 3;
  uint8_t *pixels = NULL;
  FILE *file = fopen(name, "rb");
  *reason = "cannot be opened";
  if (!file) return NULL;
  *reason = "expected a binary PPM (P6) of 8 bits";
  if (fgetc(file) == 'P' && fgetc(file) == '6') {
    int w = number(file), h = number(file), most = number(file);
    if (w > 0 && h > 0 && most == 255) *reason = "expected another size; resize it to the network's";
    if (w == width && h == height && most == 255 && (pixels = malloc(size))) {
      *reason = "it ends too early";
      if (fread(pixels, 1, size, file) == size) *reason = NULL;
    }
  }
  fclose(file);
  if (!*reason) return pixels;
  free(pixels);
  return NULL;
}

/* Print the likeliest class. */
static int classify(const lowbit_network *network, const uint8_t *pixels) {
  const lowbit_description *about = lowbit_describe(network);
  size_t size = (size_t)about->channels * about->height * about->width;
  float *image = malloc(size * sizeof(float));
  float *logits = malloc(((size_t)about->classes + about->choices) * sizeof(float));
  char error[256] = "not enough memory";
  int best = 0, failed = !image || !logits;
  if (!failed) {
    lowbit_normalize(network, pixels, 1, image);
    failed = lowbit_run(network, image, 1, 1, logits, error, sizeof error);
  }
  for (int i = 1; !failed && i < about->classes; ++i)
    if (logits[i] > logits[best]) best = i;
  if (!failed && about->class_names) printf("%s (logit %.6g)\n", about->class_names[best], logits[best]);
  if (!failed && !about->class_names) printf("class %d (logit %.6g)\n", best, logits[best]);
  free(image);
  free(logits);
  return failed ? fail("run", error) : 0;
}

int main(int argc, char **argv) {
  lowbit_network *network;
  const char *reason;
  char error[256];
  if (argc != 3) return fail("usage", "classify NETWORK.lowbit PICTURE.ppm");
  if (lowbit_open(argv[1], &network, error, sizeof error)) return fail("network", error);
  const lowbit_description *about = lowbit_describe(network);
  uint8_t *pixels = read_picture(argv[2], about->width, about->height, &reason);
  int status = pixels ? classify(network, pixels) : fail(argv[2], reason);
  free(pixels);
  lowbit_close(network);
  return status;
}
