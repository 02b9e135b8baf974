#include "envs/video.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "core/error.h"
#include "core/file.h"
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

namespace pawl::envs {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class VideoTest : public ::testing::Test {
 protected:
  VideoTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("pawl_video_") + info->name() + "_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~VideoTest() override { fs::remove_all(folder_); }
  fs::path folder_;
};

constexpr int kWidth = 64, kHeight = 48;

// A white bar that wanders to the right on a grey ground: [kHeight, kWidth, 3].
std::vector<uint8_t> Bar(int frame) {
  std::vector<uint8_t> rgb(3 * kWidth * kHeight, 90);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = frame; x < frame + 8; ++x)
      std::fill_n(&rgb[static_cast<size_t>(3 * (y * kWidth + x))], 3, 240);
  }
  return rgb;
}

struct Decoded {
  int width = 0, height = 0;
  double fps = 0;
  AVPixelFormat format = AV_PIX_FMT_NONE;
  std::vector<std::vector<uint8_t>> luma;  // one row of each picture, the middle one
};

Decoded Decode(const fs::path& path) {
  Decoded decoded;
  AVFormatContext* file = nullptr;
  PAWL_CHECK(avformat_open_input(&file, path.c_str(), nullptr, nullptr) == 0);
  PAWL_CHECK(avformat_find_stream_info(file, nullptr) >= 0);
  const AVStream* stream = file->streams[0];
  const AVCodec* codec = avcodec_find_decoder(stream->codecpar->codec_id);
  AVCodecContext* context = avcodec_alloc_context3(codec);
  avcodec_parameters_to_context(context, stream->codecpar);
  PAWL_CHECK(avcodec_open2(context, codec, nullptr) == 0);
  decoded.width = context->width;
  decoded.height = context->height;
  decoded.fps = av_q2d(stream->avg_frame_rate);
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  const auto drain = [&] {
    while (avcodec_receive_frame(context, frame) == 0) {
      decoded.format = static_cast<AVPixelFormat>(frame->format);
      const uint8_t* row = frame->data[0] + kHeight / 2 * frame->linesize[0];
      decoded.luma.emplace_back(row, row + frame->width);
    }
  };
  while (av_read_frame(file, packet) == 0) {
    avcodec_send_packet(context, packet);
    av_packet_unref(packet);
    drain();
  }
  avcodec_send_packet(context, nullptr);
  drain();
  av_frame_free(&frame);
  av_packet_free(&packet);
  avcodec_free_context(&context);
  avformat_close_input(&file);
  return decoded;
}

TEST_F(VideoTest, DecodesBackToTheSamePicturesInOrder) {
  const fs::path path = folder_ / "v.mp4";
  VideoWriter video(path, {.width = kWidth, .height = kHeight, .fps = 12.5});
  for (int i = 0; i < 50; ++i) video.Add(Bar(i));
  video.Finish();
  EXPECT_EQ(video.num_frames(), 50);
  const Decoded decoded = Decode(path);
  EXPECT_EQ(decoded.width, kWidth);
  EXPECT_EQ(decoded.height, kHeight);
  EXPECT_EQ(decoded.format, AV_PIX_FMT_YUV420P);
  EXPECT_NEAR(decoded.fps, 12.5, 1e-6);
  ASSERT_EQ(decoded.luma.size(), 50u);
  // luma of 90 and 240 in limited range: 16 + 219 * v / 255; lossy, so a fifth of their distance
  // either way
  for (size_t i = 0; i < 50; ++i) {
    EXPECT_NEAR(decoded.luma[i][i + 4], 222, 26) << i;
    EXPECT_NEAR(decoded.luma[i][(i + 30) % kWidth], 93, 26) << i;
  }
}

TEST_F(VideoTest, IndexComesBeforeThePictures) {
  const fs::path path = folder_ / "v.mp4";
  VideoWriter video(path, {.width = kWidth, .height = kHeight});
  for (int i = 0; i < 10; ++i) video.Add(Bar(i));
  video.Finish();
  const std::string bytes = core::ReadTextFile(path);
  ASSERT_NE(bytes.find("moov"), std::string::npos);
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat"));
}

TEST_F(VideoTest, SamePicturesGiveTheSameFile) {
  for (const char* name : {"a.mp4", "b.mp4"}) {
    VideoWriter video(folder_ / name, {.width = kWidth, .height = kHeight});
    for (int i = 0; i < 20; ++i) video.Add(Bar(i));
    video.Finish();
  }
  EXPECT_EQ(core::ReadTextFile(folder_ / "a.mp4"), core::ReadTextFile(folder_ / "b.mp4"));
}

TEST_F(VideoTest, AnUnfinishedVideoLeavesTheOldFileAndNothingElse) {
  std::ofstream(folder_ / "v.mp4") << "old";
  {
    VideoWriter video(folder_ / "v.mp4", {.width = kWidth, .height = kHeight});
    video.Add(Bar(0));
  }
  EXPECT_EQ(core::ReadTextFile(folder_ / "v.mp4"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(VideoTest, AMissingFolderIsOneLineWithThePath) {
  try {
    VideoWriter video(folder_ / "none" / "v.mp4", {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("none/v.mp4"));
    EXPECT_THAT(error.what(), HasSubstr("No such file"));
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

TEST_F(VideoTest, RefusesOddSizesAndWrongPictures) {
  EXPECT_THROW(VideoWriter(folder_ / "v.mp4", {.width = 63, .height = 48}), Error);
  EXPECT_THROW(VideoWriter(folder_ / "v.mp4", {.width = 0, .height = 48}), Error);
  VideoWriter video(folder_ / "v.mp4", {.width = kWidth, .height = kHeight});
  EXPECT_THROW(video.Add(std::vector<uint8_t>(10)), Error);
  EXPECT_THROW(video.Finish(), Error);  // no picture
}

TEST(FrameRate, RunsInRealTimeAtThirtyPicturesOrLess) {
  EXPECT_EQ(ChooseFrameRate(0.05).stride, 1);
  EXPECT_DOUBLE_EQ(ChooseFrameRate(0.05).fps, 20);
  EXPECT_EQ(ChooseFrameRate(0.008).stride, 5);
  EXPECT_DOUBLE_EQ(ChooseFrameRate(0.008).fps, 25);
  EXPECT_EQ(ChooseFrameRate(1.0 / 30).stride, 1);
  EXPECT_EQ(ChooseFrameRate(0).stride, 1);
}

}  // namespace
}  // namespace pawl::envs
