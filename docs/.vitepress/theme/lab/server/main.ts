import { createApp } from "vue";
import "../lab.css";
import "./server.css";
import ServerPage from "./ServerPage.vue";

createApp(ServerPage).mount("#page");
