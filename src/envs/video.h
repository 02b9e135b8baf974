// MP4 files from pictures: H.264 by libav and libx264, which are loaded when the first file is
// begun (they bring more than a hundred libraries, 0.1 s and 28 MB that no other command should
// pay). One thread per writer.
//
//   VideoWriter video("run/video.mp4", {.width = 480, .height = 360, .fps = 25});
//   for (...) video.Add(rgb);
//   video.Finish();
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace pawl::envs {

struct VideoOptions {
  int width = 480, height = 360;  // pixels, even (colour is stored at half the resolution)
  double fps = 25;
  int crf = 23;  // x264's constant quality: 0 lossless, 18 looks lossless, 51 worst
};

class VideoWriter {
 public:
  // Begins `path`.tmp. Throws UserError for odd sizes; RunError where libav or the encoder is
  // missing or the file cannot be written.
  VideoWriter(std::filesystem::path path, VideoOptions options);
  // Without Finish nothing is left behind.
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  // rgb: [height, width, 3], top row first.
  void Add(std::span<const uint8_t> rgb);
  // Completes the file (playable while it downloads) and puts it in its place. At least one picture
  // must have been added.
  void Finish();
  int num_frames() const { return num_frames_; }

 private:
  struct State;
  std::filesystem::path path_;
  VideoOptions options_;
  int num_frames_ = 0;
  std::unique_ptr<State> state_;
};

// Which control steps to show so that the video runs in real time at 30 pictures a second or less.
struct FrameRate {
  int stride = 1;  // every stride-th step is a picture
  double fps = 25;
};
// control_period_s: simulated seconds per step; 0 where there is none (25 pictures a second then).
FrameRate ChooseFrameRate(double control_period_s);

}  // namespace pawl::envs
