// The C interface, lowbit.h: files of programs, opened, checked and run.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "fast_form.h"
#include "lowbit.h"
#include "runtime_file.h"
#include "schedule.h"
#include "validator.h"

using namespace lowbit::engine;

struct lowbit_network {
  RuntimeFile file;
  RunImages run_images = nullptr;
  std::vector<const char*> class_names;
  lowbit_description description = {};
  mutable Spare spare;  // of runs, until the network is closed
};

namespace {

constexpr int64_t kMostBytes = INT32_MAX;  // of a file
constexpr int kMostThreads = 1024;

int say(const std::string& text, char* error, size_t size) {
  if (size) std::snprintf(error, size, "%s", text.c_str());
  return 1;
}

// What can fail; Refusal and others become a text.
template <class Function>
int attempt(const std::string& name, char* error, size_t size, Function function) noexcept try {
  function();
  return 0;
} catch (const Refusal& refusal) {
  return say(name + ": cannot be run: " + refusal.what(), error, size);
} catch (const std::bad_alloc&) {
  return say("not enough memory", error, size);
} catch (const std::exception& other) {
  return say(other.what(), error, size);
}

lowbit_description describe(const lowbit_network& network, int64_t multiply_adds) {
  const About& about = network.file.about;
  const Header& header = network.file.program().header();
  lowbit_description d = {};
  d.channels = header.channels, d.height = header.height, d.width = header.width;
  d.classes = header.classes, d.choices = header.decisions;
  d.resize = static_cast<int32_t>(about.resize), d.interpolation = about.interpolation.c_str();
  std::copy(about.mean, about.mean + 3, d.mean);
  std::copy(about.deviation, about.deviation + 3, d.deviation);
  d.accuracy = about.accuracy, d.samples = about.samples;
  d.network = about.network.c_str(), d.method = about.method.c_str(), d.dataset = about.dataset.c_str();
  d.producer = about.producer.c_str();
  d.class_names = network.class_names.empty() ? nullptr : network.class_names.data();
  d.bytes = 4 * network.file.words.size() + network.file.weights.size() + 4 * network.file.constants.size();
  d.thread_bytes = memory_of(header, static_cast<int>(most_together(header)));
  d.multiply_adds = multiply_adds;
  return d;
}

std::unique_ptr<lowbit_network> opened(const uint8_t* content, int64_t size) {
  auto network = std::make_unique<lowbit_network>();
  network->file = read_file(content, size);
  const int64_t multiply_adds = Validator(network->file).check();
  FastForm(network->file, kExpansion * size + kExpansionBytes);
  const About& about = network->file.about;
  const std::vector<std::string>& classes = about.classes;
  const Header& header = network->file.program().header();
  require(header.channels == static_cast<int32_t>(std::size(about.mean)), "its images do not have 3 channels");
  require(classes.empty() || static_cast<int64_t>(classes.size()) == header.classes, "not every class has a name");
  require(!about.resize || about.resize >= std::max(header.height, header.width),
          "pictures would be smaller than its images");
  for (const std::string& name : classes) network->class_names.push_back(name.c_str());
  network->description = describe(*network, multiply_adds);
  network->run_images = fastest(&network->description.instructions);
  return network;
}

std::vector<uint8_t> content_of(const char* path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "rb"), std::fclose);
  if (!file) throw Refusal(std::strerror(errno));
  struct stat status;
  require(!fstat(fileno(file.get()), &status) && S_ISREG(status.st_mode), "it is no file");
  require(status.st_size <= kMostBytes, "it is too large");
  std::vector<uint8_t> content(status.st_size);
  const size_t count = std::fread(content.data(), 1, content.size(), file.get());
  require(count == content.size() && std::fgetc(file.get()) == EOF, "it changes while it is read");
  return content;
}

}  // namespace

extern "C" {

int lowbit_open_memory(const void* content, size_t size, lowbit_network** network, char* error, size_t error_size) {
  *network = nullptr;
  return attempt("these bytes", error, error_size, [&] {
    require(size <= static_cast<size_t>(kMostBytes), "they are too many");
    *network = opened(static_cast<const uint8_t*>(content), static_cast<int64_t>(size)).release();
  });
}

int lowbit_open(const char* path, lowbit_network** network, char* error, size_t error_size) {
  *network = nullptr;
  return attempt(path, error, error_size, [&] {
    const std::vector<uint8_t> content = content_of(path);
    *network = opened(content.data(), static_cast<int64_t>(content.size())).release();
  });
}

const lowbit_description* lowbit_describe(const lowbit_network* network) { return &network->description; }

void lowbit_normalize(const lowbit_network* network, const uint8_t* pixels, int64_t count, float* images) {
  const lowbit_description& d = network->description;
  const int64_t area = int64_t{d.height} * d.width;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < d.channels; ++c) {
      const float mean = static_cast<float>(d.mean[c]), deviation = static_cast<float>(d.deviation[c]);
      const uint8_t* from = pixels + i * area * d.channels + c;
      float* to = images + (i * d.channels + c) * area;
      for (int64_t p = 0; p < area; ++p) to[p] = (static_cast<float>(from[p * d.channels]) / 255.0f - mean) / deviation;
    }
  }
}

int lowbit_run(const lowbit_network* network, const float* images, int64_t count, int threads, float* logits,
               char* error, size_t error_size) {
  if (count <= 0) return count ? say("expected 0 images or more", error, error_size) : 0;
  if (threads < 0) return say("expected 0 threads or more", error, error_size);
  if (threads == 0) threads = lowbit::all_threads();
  return attempt("a run", error, error_size, [&] {
    const Call call{network->file.program(), network->run_images, images, count, logits, nullptr};
    run_on_threads(call, std::min(threads, kMostThreads), network->spare);
  });
}

void lowbit_close(lowbit_network* network) { delete network; }
}
