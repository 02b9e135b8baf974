// The items of a task: rows of JSON lines, and what the task's templates make of them. Pure
// functions of the files.
#pragma once
#include <string>
#include <vector>

#include "text/record_json.h"
#include "text/text_template.h"
#include "train/task_config.h"

namespace pawl::train {

struct TaskItem {
  text::Json row;     // an object
  std::string place;  // "file:line", for messages
};
// The first `limit` rows of all files together, 0: all. Throws UserError for a line that is no JSON
// object, and where there is none. `key`: of the files, in messages.
std::vector<TaskItem> ReadItems(const std::vector<std::string>& files, int64_t limit,
                                const std::string& key = "files");

// A template of the task over its items; errors name the item.
class ItemTemplate {
 public:
  ItemTemplate(const std::string& source, const std::string& key) : template_(source, key) {}
  std::string Render(const TaskItem& item) const;
  // With one more column.
  std::string Render(const TaskItem& item, const std::string& column,
                     const std::string& value) const;

 private:
  text::TextTemplate template_;
};

// The answers to choose from, and which one is right.
struct ItemChoices {
  std::vector<std::string> texts;
  size_t right = 0;
};

// Prompts with their solved examples.
class ItemPrompts {
 public:
  explicit ItemPrompts(const TaskConfig& task);
  // An item is no example for itself.
  std::string Prompt(const TaskItem& item) const;
  // What a prompt should be followed by: the answer, or of choice the text of the right one.
  std::string Answer(const TaskItem& item) const;
  ItemChoices Choices(const TaskItem& item) const;

 private:
  const TaskConfig& task_;
  ItemTemplate prompt_, answer_;
  std::vector<ItemTemplate> choices_;
  std::vector<TaskItem> shots_;
};

}  // namespace pawl::train
