import { DynamoError } from '../base/errors.ts';
import { describeProblems, type PathIssue, type Problem } from '../yaml/problem.ts';

/** Something wrong at a path of the recipe; the loader knows the place. */
export type RecipeIssue = PathIssue;

/** One error for all problems, in the order of the text, each with its line and a caret. */
export function recipeError(name: string, problems: readonly Problem[]): DynamoError {
  const { count, details } = describeProblems(problems);
  return new DynamoError('RECIPE_INVALID', `${name} has ${count}`, { details });
}
