#include "model/recipe.h"

#include "common/base/status.h"
#include "model/families/family.h"

namespace shoal::model {

Recipe MakeRecipe(const ModelConfig& config) {
  const Family* const family = FindFamily(config.family, config.norm);
  SHOAL_CHECK(family != nullptr);
  const Architecture* const architecture = FindArchitecture(*family, config.head);
  SHOAL_CHECK(architecture != nullptr);
  Recipe recipe;
  recipe.parameters.root = family->root;
  recipe.stack.placement = family->norm;
  ParameterBuilder builder(config.initializer_range, &recipe.parameters, config.lora, config.adapters);
  family->build(*family, config, &builder, &recipe);
  builder.BeginHead();
  builder.SetPrefix("");
  recipe.head = architecture->make_head(config, recipe, &builder);
  builder.EndGroup();
  return recipe;
}

Parameters MakeParameters(const ModelConfig& config) { return MakeRecipe(config).parameters; }

}  // namespace shoal::model
