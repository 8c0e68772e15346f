import { render } from "preact";
import { takeToken } from "./api.ts";
import { App } from "./app.tsx";
import { followLedger } from "./ledger.ts";
import { followCurves } from "./parts/curves.tsx";
import { followDetails } from "./parts/detail.tsx";
import { followOutput } from "./parts/output.tsx";
import { follow, keepTime } from "./store.ts";

takeToken();
render(<App />, document.getElementById("app") as HTMLElement);
keepTime();
followLedger();
followCurves();
followDetails();
followOutput();
void follow();
