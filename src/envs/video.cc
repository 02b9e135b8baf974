#include "envs/video.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#ifdef PAWL_HAVE_LIBAV
#include "envs/video_libav.h"
#endif

namespace pawl::envs {

FrameRate ChooseFrameRate(double control_period_s) {
  constexpr double kMaxFps = 30, kDefaultFps = 25;
  if (control_period_s <= 0) return {.stride = 1, .fps = kDefaultFps};
  const int stride =
      std::max(1, static_cast<int>(std::ceil(1 / (control_period_s * kMaxFps) - 1e-9)));
  return {.stride = stride, .fps = 1 / (control_period_s * stride)};
}

#ifndef PAWL_HAVE_LIBAV

struct VideoWriter::State {};

VideoWriter::VideoWriter(std::filesystem::path path, VideoOptions options)
    : path_(std::move(path)), options_(options) {
  throw RunError(
      {.what = fmt::format("cannot write '{}': pawl was built without libav", path_.string()),
       .hint = "install the development files of libavformat, libavcodec and libswscale and build "
               "again"});
}
VideoWriter::~VideoWriter() = default;
void VideoWriter::Add(std::span<const uint8_t>) {}
void VideoWriter::Finish() {}

#else

namespace {
namespace fs = std::filesystem;

// Throws for a negative code of libav.
int Check(int code, const char* operation, const fs::path& path) {
  if (code >= 0) return code;
  char reason[AV_ERROR_MAX_STRING_SIZE] = "unknown error";
  LoadLibav().av_strerror(code, reason, sizeof(reason));
  throw RunError({.what = fmt::format("cannot write the video '{}': {} failed: {}", path.string(),
                                      operation, reason),
                  .hint = code == AVERROR(ENOSPC) ? "free some disk space" : ""});
}

fs::path TemporaryPath(const fs::path& path) { return path.string() + ".tmp"; }
}  // namespace

struct VideoWriter::State {
  const Libav& av = LoadLibav();
  AVFormatContext* format = nullptr;
  AVCodecContext* codec = nullptr;
  AVStream* stream = nullptr;
  AVFrame* frame = nullptr;
  AVPacket* packet = nullptr;
  SwsContext* scaler = nullptr;
  fs::path unfinished;  // removed at the end

  ~State() {
    av.sws_freeContext(scaler);
    av.av_packet_free(&packet);
    av.av_frame_free(&frame);
    av.avcodec_free_context(&codec);
    if (format != nullptr && format->pb != nullptr) av.avio_closep(&format->pb);
    av.avformat_free_context(format);
    std::error_code ignored;
    if (!unfinished.empty()) fs::remove(unfinished, ignored);
  }

  void OpenEncoder(const VideoOptions& options, const fs::path& path);
  void OpenFile(const fs::path& path);
  void Encode(const AVFrame* picture, const fs::path& path);
};

void VideoWriter::State::OpenEncoder(const VideoOptions& options, const fs::path& path) {
  const AVCodec* encoder = av.avcodec_find_encoder_by_name("libx264");
  if (encoder == nullptr) {
    throw RunError({.what = fmt::format("cannot write the video '{}': libavcodec has no libx264",
                                        path.string()),
                    .hint = "install a libavcodec with libx264"});
  }
  codec = av.avcodec_alloc_context3(encoder);
  codec->width = options.width;
  codec->height = options.height;
  codec->pix_fmt = AV_PIX_FMT_YUV420P;
  codec->color_range = AVCOL_RANGE_MPEG;
  codec->colorspace = AVCOL_SPC_SMPTE170M;  // what sws_scale converts to
  codec->framerate = av.av_d2q(options.fps, 100000);
  codec->time_base = {codec->framerate.den, codec->framerate.num};
  codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;  // MP4 keeps the headers apart from the stream
  av.av_opt_set(codec->priv_data, "crf", std::to_string(options.crf).c_str(), 0);
  av.av_opt_set(codec->priv_data, "preset", "veryfast", 0);
  Check(av.avcodec_open2(codec, encoder, nullptr), "libx264", path);
  frame = av.av_frame_alloc();
  frame->format = codec->pix_fmt;
  frame->width = codec->width;
  frame->height = codec->height;
  Check(av.av_frame_get_buffer(frame, 0), "av_frame_get_buffer", path);
  packet = av.av_packet_alloc();
  scaler =
      av.sws_getContext(codec->width, codec->height, AV_PIX_FMT_RGB24, codec->width, codec->height,
                        codec->pix_fmt, SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr);
  PAWL_CHECK(scaler != nullptr && packet != nullptr);
}

void VideoWriter::State::OpenFile(const fs::path& path) {
  const std::string unfinished_name = TemporaryPath(path).string();
  // the name goes to the format too: for faststart it opens the file a second time
  Check(av.avformat_alloc_output_context2(&format, nullptr, "mp4", unfinished_name.c_str()),
        "the MP4 format", path);
  format->flags |= AVFMT_FLAG_BITEXACT;  // same pictures, same file: no versions and dates
  stream = av.avformat_new_stream(format, nullptr);
  PAWL_CHECK(stream != nullptr);
  stream->time_base = codec->time_base;
  stream->avg_frame_rate = codec->framerate;
  Check(av.avcodec_parameters_from_context(stream->codecpar, codec),
        "avcodec_parameters_from_context", path);
  Check(av.avio_open(&format->pb, unfinished_name.c_str(), AVIO_FLAG_WRITE), "opening", path);
  unfinished = unfinished_name;
  AVDictionary* flags = nullptr;
  av.av_dict_set(&flags, "movflags", "+faststart",
                 0);  // the index first: a browser can play before it has everything
  const int code = av.avformat_write_header(format, &flags);
  av.av_dict_free(&flags);
  Check(code, "writing", path);
}

// Gives the encoder a picture (nullptr: no more) and writes what it has ready.
void VideoWriter::State::Encode(const AVFrame* picture, const fs::path& path) {
  Check(av.avcodec_send_frame(codec, picture), "encoding", path);
  while (true) {
    const int code = av.avcodec_receive_packet(codec, packet);
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
    Check(code, "encoding", path);
    av.av_packet_rescale_ts(packet, codec->time_base, stream->time_base);
    packet->stream_index = stream->index;
    Check(av.av_interleaved_write_frame(format, packet), "writing", path);
  }
}

VideoWriter::VideoWriter(fs::path path, VideoOptions options)
    : path_(std::move(path)), options_(options) {
  const bool even =
      options.width > 0 && options.height > 0 && options.width % 2 == 0 && options.height % 2 == 0;
  if (!even) {
    throw UserError(
        {.what = fmt::format("a video of {} x {} pixels", options.width, options.height),
         .expected = "an even number of pixels a side"});
  }
  PAWL_CHECK(options.fps > 0 && std::isfinite(options.fps), "fps {}", options.fps);
  state_ = std::make_unique<State>();
  state_->OpenEncoder(options_, path_);
  state_->OpenFile(path_);
}

VideoWriter::~VideoWriter() = default;

void VideoWriter::Add(std::span<const uint8_t> rgb) {
  PAWL_CHECK(state_ != nullptr, "Add after Finish");
  const int row = 3 * options_.width;
  PAWL_CHECK_EQ(rgb.size(), static_cast<size_t>(row) * static_cast<size_t>(options_.height));
  State& state = *state_;
  // the encoder may still hold the last picture
  Check(state.av.av_frame_make_writable(state.frame), "av_frame_make_writable", path_);
  const uint8_t* rows[] = {rgb.data()};
  state.av.sws_scale(state.scaler, rows, &row, 0, options_.height, state.frame->data,
                     state.frame->linesize);
  state.frame->pts = num_frames_;
  state.Encode(state.frame, path_);
  ++num_frames_;
}

void VideoWriter::Finish() {
  PAWL_CHECK(state_ != nullptr && num_frames_ > 0, "a video of {} pictures", num_frames_);
  State& state = *state_;
  state.Encode(nullptr, path_);
  Check(state.av.av_write_trailer(state.format), "writing", path_);
  Check(state.av.avio_closep(&state.format->pb), "writing", path_);
  std::error_code error;
  fs::rename(TemporaryPath(path_), path_, error);
  if (error) {
    throw RunError(
        {.what = fmt::format("cannot write the video '{}': {}", path_.string(), error.message())});
  }
  state.unfinished.clear();
  state_.reset();
}

#endif  // PAWL_HAVE_LIBAV

}  // namespace pawl::envs
