#include "envs/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

#include "envs/mujoco_log.h"
#include "envs/mujoco_sim.h"
#include "envs/registry.h"
#include "tests/envs/env_testing.h"
#include "tests/envs/png_testing.h"

namespace pawl::envs {
namespace {
using ::testing::HasSubstr;

// A red ball left of the middle and a green box right of it, in front of a blue wall; light from
// the camera.
constexpr const char* kTwoThings = R"(
<mujoco>
  <visual><headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/></visual>
  <worldbody>
    <camera name="front" pos="0 -3 0" xyaxes="1 0 0 0 0 1" fovy="45"/>
    <geom type="box" size="5 .1 5" pos="0 2 0" rgba="0 0 1 1"/>
    <body name="ball" pos="-.6 0 .4"><freejoint/><geom type="sphere" size=".25" rgba="1 0 0 1"/></body>
    <geom type="box" size=".2 .2 .2" pos=".6 0 -.4" rgba="0 1 0 1"/>
  </worldbody>
</mujoco>)";

struct Simulation {
  explicit Simulation(const char* xml) {
    InstallMujocoLog();
    char error[500] = "";
    mjSpec* spec = mj_parseXMLString(xml, nullptr, error, sizeof(error));
    PAWL_CHECK(spec != nullptr, "{}", error);
    model = mj_compile(spec, nullptr);
    mj_deleteSpec(spec);
    PAWL_CHECK(model != nullptr);
    data = mj_makeData(model);
    mj_forward(model, data);
  }
  ~Simulation() {
    mj_deleteData(data);
    mj_deleteModel(model);
  }
  // Looks along +y from 3 m, like the camera "front".
  MujocoScene Scene() const {
    return {.model = model, .data = data, .azimuth = 90, .elevation = 0, .distance = 3};
  }
  mjModel* model;
  mjData* data;
};

// Rendering needs a libEGL; where there is none these tests say so and pass by.
std::unique_ptr<Renderer> TryRenderer(RenderOptions options, std::string& reason) {
  try {
    return std::make_unique<Renderer>(std::move(options));
  } catch (const Error& error) {
    reason = error.what();
    return nullptr;
  }
}
#define MAKE_RENDERER(renderer, ...)                                 \
  std::string renderer##_reason;                                     \
  const auto renderer = TryRenderer(__VA_ARGS__, renderer##_reason); \
  if (renderer == nullptr) GTEST_SKIP() << renderer##_reason

std::vector<uint8_t> Picture(Renderer& renderer, const MujocoScene& scene) {
  std::vector<uint8_t> rgb(renderer.size_bytes());
  renderer.Render(scene, rgb);
  return rgb;
}

using Rgb = std::array<int, 3>;
// Pixel at a share of width and height from the upper left corner.
Rgb PixelAt(const Renderer& renderer, const std::vector<uint8_t>& rgb, double x, double y) {
  const auto& [width, height, camera, samples, shadow] = renderer.options();
  const size_t at = 3 * (static_cast<size_t>(y * height) * static_cast<size_t>(width) +
                         static_cast<size_t>(x * width));
  return {rgb[at], rgb[at + 1], rgb[at + 2]};
}

// The brightest of the three by a wide margin.
int Colour(const Rgb& pixel) {
  const int best = static_cast<int>(std::max_element(pixel.begin(), pixel.end()) - pixel.begin());
  for (int i = 0; i < 3; ++i) {
    if (i != best && pixel[i] > pixel[best] - 60) return -1;
  }
  return best;
}

size_t NumColours(const std::vector<uint8_t>& rgb) {
  std::set<uint32_t> colours;
  for (size_t i = 0; i + 2 < rgb.size(); i += 3)
    colours.insert(rgb[i] << 16 | rgb[i + 1] << 8 | rgb[i + 2]);
  return colours.size();
}

// With 45 degrees of view at 3 m the picture is 2.49 m high: 0.6 m right is 0.6 / 3.31 of the width
// from the middle.
double ScreenX(double x) { return 0.5 + x / (2 * 3 * std::tan(M_PI / 8) * 4 / 3); }
double ScreenY(double z) { return 0.5 - z / (2 * 3 * std::tan(M_PI / 8)); }

TEST(Render, GeomsStandWhereTheyShouldTheRightWayUp) {
  MAKE_RENDERER(renderer, {.width = 160, .height = 120});
  const Simulation simulation(kTwoThings);
  const auto rgb = Picture(*renderer, simulation.Scene());
  EXPECT_EQ(Colour(PixelAt(*renderer, rgb, ScreenX(-0.6), ScreenY(0.4))),
            0);  // red ball, upper left
  EXPECT_EQ(Colour(PixelAt(*renderer, rgb, ScreenX(0.6), ScreenY(-0.4))),
            1);  // green box, lower right
  EXPECT_EQ(Colour(PixelAt(*renderer, rgb, ScreenX(0.6), ScreenY(0.4))), 2);  // blue wall elsewhere
  EXPECT_EQ(Colour(PixelAt(*renderer, rgb, ScreenX(-0.6), ScreenY(-0.4))), 2);
}

TEST(Render, NamedCameraIsUsedAndAWrongNameListsTheRightOnes) {
  const Simulation simulation(kTwoThings);
  MAKE_RENDERER(named, {.width = 160, .height = 120, .camera = "front"});
  MujocoScene elsewhere = simulation.Scene();
  elsewhere.azimuth = -90;
  const auto rgb = Picture(*named, elsewhere);
  EXPECT_EQ(Colour(PixelAt(*named, rgb, ScreenX(-0.6), ScreenY(0.4))), 0);
  MAKE_RENDERER(wrong, {.width = 160, .height = 120, .camera = "fron"});
  try {
    Picture(*wrong, simulation.Scene());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no camera 'fron'"));
    EXPECT_THAT(error.what(), HasSubstr("front"));
  }
}

TEST(Render, FollowsTheTrackedBody) {
  MAKE_RENDERER(renderer, {.width = 160, .height = 120});
  const Simulation simulation(kTwoThings);
  MujocoScene scene = simulation.Scene();
  scene.track_body = mj_name2id(simulation.model, mjOBJ_BODY, "ball");
  const auto rgb = Picture(*renderer, scene);
  EXPECT_EQ(Colour(PixelAt(*renderer, rgb, 0.5, ScreenY(0.4))),
            0);  // x follows, the height does not
}

TEST(Render, OneRendererServesModelAfterModel) {
  MAKE_RENDERER(renderer, {.width = 160, .height = 120});
  for (int i = 0; i < 3; ++i) {
    const Simulation red(kTwoThings);
    const Simulation white(
        "<mujoco><worldbody><geom type='sphere' size='2' rgba='1 1 1 1'/></worldbody></mujoco>");
    EXPECT_EQ(
        Colour(PixelAt(*renderer, Picture(*renderer, red.Scene()), ScreenX(-0.6), ScreenY(0.4))),
        0);
    EXPECT_EQ(Colour(PixelAt(*renderer, Picture(*renderer, white.Scene()), 0.5, 0.5)), -1);
  }
}

TEST(Render, SamePictureTwiceAndOnEveryThread) {
  MAKE_RENDERER(renderer, {.width = 96, .height = 64});
  const Simulation simulation(kTwoThings);
  const auto rgb = Picture(*renderer, simulation.Scene());
  EXPECT_EQ(Picture(*renderer, simulation.Scene()), rgb);
  std::vector<std::vector<uint8_t>> others(3);
  std::vector<std::thread> threads;
  for (auto& other : others) {
    threads.emplace_back([&other] {
      const Simulation own(kTwoThings);
      Renderer own_renderer({.width = 96, .height = 64});
      other = Picture(own_renderer, own.Scene());
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& other : others) EXPECT_EQ(other, rgb);
}

TEST(Render, RefusesSizesOutOfRange) {
  EXPECT_THROW(Renderer({.width = 0, .height = 10}), Error);
  EXPECT_THROW(Renderer({.width = 10, .height = 100000}), Error);
}

// The pictures go to PAWL_RENDER_TEST_FOLDER (when set) for people to look at.
class RenderEnv : public ::testing::TestWithParam<const char*> {};

TEST_P(RenderEnv, PictureHasManyColoursAndRenderingChangesNothing) {
  MAKE_RENDERER(renderer, {});
  EnvConfig config;
  config.id = GetParam();
  const auto drawn = MakeEnv(config, 1, 0), plain = MakeEnv(config, 1, 0);
  const auto* view = dynamic_cast<const MujocoView*>(drawn.get());
  ASSERT_NE(view, nullptr);
  std::vector<double> observation(static_cast<size_t>(drawn->Spec().ObservationSize()));
  drawn->Reset(TestStream(0), observation);
  plain->Reset(TestStream(0), observation);
  core::Philox rng = TestStream(1);
  std::vector<uint8_t> rgb;
  for (int step = 0; step < 5; ++step) {
    rgb = Picture(*renderer, view->Scene());
    const auto action = RandomAction(drawn->Spec(), rng);
    const StepResult a = drawn->Step(action, observation), b = plain->Step(action, observation);
    ASSERT_EQ(a.reward, b.reward);
  }
  EXPECT_EQ(Saved(*drawn), Saved(*plain));
  EXPECT_GT(NumColours(rgb), 100u);
  if (const char* folder = std::getenv("PAWL_RENDER_TEST_FOLDER")) {
    WritePng(std::string(folder) + "/" + GetParam() + ".png", renderer->options().width,
             renderer->options().height, rgb);
  }
}

INSTANTIATE_TEST_SUITE_P(Envs, RenderEnv,
                         ::testing::Values("HalfCheetah-v5", "Hopper-v5", "Ant-v5", "ArmReach"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace pawl::envs
