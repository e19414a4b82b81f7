// SHA-256 (FIPS 180-4), for the checksum of a runtime file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lowbit {
namespace engine {

class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;

  static Digest of(const uint8_t* data, size_t size) {
    Sha256 hash;
    size_t whole = size / 64 * 64;
    for (size_t i = 0; i < whole; i += 64) hash.block(data + i);
    uint8_t last[128] = {};
    const size_t rest = size - whole, end = rest < 56 ? 64 : 128;
    if (rest) std::memcpy(last, data + whole, rest);
    last[rest] = 0x80;
    for (size_t i = 0; i < 8; ++i) last[end - 1 - i] = static_cast<uint8_t>(uint64_t{size} * 8 >> 8 * i);
    for (size_t i = 0; i < end; i += 64) hash.block(last + i);
    Digest digest;
    for (size_t i = 0; i < 32; ++i) digest[i] = static_cast<uint8_t>(hash.state_[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
  }

 private:
  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

  static uint32_t rotated(uint32_t x, int n) { return x >> n | x << (32 - n); }

  void block(const uint8_t* data) {
    static constexpr uint32_t kRound[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; ++i)
      w[i] = uint32_t{data[4 * i]} << 24 | data[4 * i + 1] << 16 | data[4 * i + 2] << 8 | data[4 * i + 3];
    for (int i = 16; i < 64; ++i) {
      const uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3) + w[i - 7] + (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10);
    }
    std::memcpy(s, state_, sizeof s);
    for (int i = 0; i < 64; ++i) {
      const uint32_t sum = rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25);
      const uint32_t add = s[7] + sum + ((s[4] & s[5]) ^ (~s[4] & s[6])) + kRound[i] + w[i];
      const uint32_t most = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
      const uint32_t head = add + (rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22)) + most;
      std::memmove(s + 1, s, 28);
      s[4] += add;
      s[0] = head;
    }
    for (int i = 0; i < 8; ++i) state_[i] += s[i];
  }
};

}  // namespace engine
}  // namespace lowbit
