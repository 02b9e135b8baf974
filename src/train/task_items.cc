#include "train/task_items.h"

#include <algorithm>

#include "core/error.h"
#include "text/data_file.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::train {
namespace {
constexpr int64_t kMaxLineBytes = int64_t{64} << 20;

[[noreturn]] void Refuse(const TaskItem& item, const std::string& what,
                         const std::string& expected) {
  throw UserError({.what = what, .where = item.place, .expected = expected});
}

// The list under a path of columns: "choices.text".
const text::Json& ColumnAt(const TaskItem& item, const std::string& path) {
  std::string pointer = "/" + path;
  std::ranges::replace(pointer, '.', '/');
  const text::Json::json_pointer at(pointer);
  if (!item.row.contains(at)) Refuse(item, fmt::format("no column '{}'", path), "a list of texts");
  return item.row.at(at);
}
}  // namespace

std::vector<TaskItem> ReadItems(const std::vector<std::string>& files, int64_t limit,
                                const std::string& key) {
  std::vector<TaskItem> items;
  const auto full = [&] { return limit > 0 && static_cast<int64_t>(items.size()) >= limit; };
  for (const std::string& path : files) {
    const text::DataFile file(path, key);
    text::LineReader reader(file, kMaxLineBytes);
    text::LineReader::Line line;
    while (!full() && reader.Next(line)) {
      if (!line.too_long && line.text.find_first_not_of(" \t") == std::string_view::npos) continue;
      TaskItem item{.row = {}, .place = fmt::format("{}:{}", path, line.number)};
      text::Problem problem{.what = "a line that is too long", .expected = "at most 64 MiB"};
      const bool valid = text::FindInvalidUtf8(line.text) == std::string_view::npos;
      if (!valid) problem = {.what = "a line that is no UTF-8", .expected = "UTF-8"};
      if (line.too_long || !valid || !text::ParseJson(line.text, item.row, problem))
        Refuse(item, problem.what, problem.expected);
      if (!item.row.is_object())
        Refuse(item, text::KindOf(item.row), "an object with the columns of an item");
      items.push_back(std::move(item));
    }
  }
  if (items.empty()) {
    throw UserError(
        {.what = "no items", .where = files.front(), .expected = "JSON lines, an object a line"});
  }
  return items;
}

std::string ItemTemplate::Render(const TaskItem& item) const {
  try {
    return template_.Render(item.row);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", item.place, error.what()), error.exit_code());
  }
}

std::string ItemTemplate::Render(const TaskItem& item, const std::string& column,
                                 const std::string& value) const {
  TaskItem with = item;
  with.row[column] = value;
  return Render(with);
}

ItemPrompts::ItemPrompts(const TaskConfig& task)
    : task_(task), prompt_(task.prompt, "prompt"), answer_(task.answer, "answer") {
  for (size_t i = 0; i < task.choices.size(); ++i)
    choices_.emplace_back(task.choices[i], fmt::format("choices[{}]", i));
  if (task.shots == 0) return;
  const auto& files = task.shots_files.empty() ? task.files : task.shots_files;
  const bool are_own = std::ranges::any_of(files, [&](const std::string& file) {
    return std::ranges::find(task.files, file) != task.files.end();
  });
  // one more than is shown, for the item that is itself among them
  shots_ = ReadItems(files, task.shots + 1, task.shots_files.empty() ? "files" : "shots_files");
  const size_t needed = static_cast<size_t>(task.shots) + (are_own ? 1 : 0);
  if (shots_.size() >= needed) return;
  throw UserError({.what = fmt::format("{} items for {} shots", shots_.size(), task.shots),
                   .where = task.shots_files.empty() ? "files" : "shots_files",
                   .expected = fmt::format("at least {}", needed)});
}

std::string ItemPrompts::Prompt(const TaskItem& item) const {
  std::string text;
  int64_t shown = 0;
  for (size_t i = 0; i < shots_.size() && shown < task_.shots; ++i) {
    if (shots_[i].place == item.place) continue;
    text += prompt_.Render(shots_[i]) + task_.delimiter + Answer(shots_[i]) + task_.separator;
    ++shown;
  }
  return text + prompt_.Render(item);
}

std::string ItemPrompts::Answer(const TaskItem& item) const {
  if (task_.kind != TaskKind::kChoice) return answer_.Render(item);
  const ItemChoices choices = Choices(item);
  return choices.texts[choices.right];
}

ItemChoices ItemPrompts::Choices(const TaskItem& item) const {
  ItemChoices choices;
  for (const ItemTemplate& choice : choices_) choices.texts.push_back(choice.Render(item));
  if (!task_.choices_column.empty()) {
    const text::Json& list = ColumnAt(item, task_.choices_column);
    const auto is_text = [](const text::Json& entry) { return entry.is_string(); };
    if (!list.is_array() || !std::ranges::all_of(list, is_text))
      Refuse(item, fmt::format("'{}' is {}", task_.choices_column, text::KindOf(list)),
             "a list of texts");
    for (const auto& entry : list) choices.texts.push_back(entry.get<std::string>());
  }
  if (choices.texts.size() < 2) Refuse(item, "fewer than two choices", "two or more");
  const std::string answer(text::python::Strip(answer_.Render(item)));
  int64_t right = -1;
  if (task_.answer_form == AnswerForm::kIndex) {
    right = text::python::ParseInt(answer, 10).value_or(-1);
  } else if (task_.answer_form == AnswerForm::kLetter) {
    if (answer.size() == 1) right = answer[0] - 'A';
  } else {
    const auto is_answer = [&](const std::string& text) {
      return text::python::Strip(text) == answer;
    };
    right = std::ranges::find_if(choices.texts, is_answer) - choices.texts.begin();
  }
  if (right < 0 || right >= static_cast<int64_t>(choices.texts.size())) {
    Refuse(item,
           fmt::format("the answer '{}' is none of {} choices", answer.substr(0, 40),
                       choices.texts.size()),
           "answer and answer_form that name one");
  }
  choices.right = static_cast<size_t>(right);
  return choices;
}

}  // namespace pawl::train
