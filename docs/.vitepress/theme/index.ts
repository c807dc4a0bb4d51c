import DefaultTheme from "vitepress/theme";
import "./chapter.css";
import "./lab/lab.css";

export default DefaultTheme;
