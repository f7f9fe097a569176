// validate.mjs FILE: exit code 0 when the file is an OpenAPI 3.1 document by the schema of the OpenAPI Initiative.
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";

const validator = new Validator();
const result = await validator.validate(JSON.parse(readFileSync(process.argv[2], "utf8")));
if (!result.valid) console.error(JSON.stringify(result.errors, null, 1));
else if (validator.version !== "3.1") console.error(`it is of the version ${validator.version}`);
process.exit(result.valid && validator.version === "3.1" ? 0 : 1);
