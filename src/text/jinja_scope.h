// Gives every variable of a template its place, by Jinja's rules: loops, blocks and macros have
// scopes of their own whose assignments end with them, `if` has none; a name that a scope assigns
// begins with the value it has outside.
#pragma once
#include "text/jinja_tree.h"

namespace pawl::text::jinja {

// Fills the refs and scopes of the tree. Throws UserError for names that Pawl does not have
// (varargs, kwargs and caller in a macro).
void ResolveNames(Tree& tree);

}  // namespace pawl::text::jinja
